"""The report's figures as PNG and SVG, for papers and slides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plotly.graph_objects import Figure
from plotly.io import write_images

from recsim_env.errors import RecSimError
from recsim_env.files import whole

FORMATS = ("png", "svg")
WIDTH, SCALE = 900, 2  # pixels, and how many of them a PNG has in place of one


def write_pictures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Each figure by its id as a PNG and an SVG on white; an earlier folder stays until these are whole.

    Raises:
        RecSimError: kaleido, or the browser it draws with, is missing.
    """
    drawn = [Figure(figure).update_layout(paper_bgcolor="white", plot_bgcolor="white") for figure in figures.values()]
    with whole(folder) as part:
        part.mkdir()
        for form in FORMATS:
            try:
                write_images(drawn, [part / f"{name}.{form}" for name in figures], width=WIDTH, scale=SCALE)
            except Exception as error:  # kaleido's and its browser driver's, which share no class
                raise RecSimError(
                    f"--images needs kaleido and Chrome or Chromium: pip install 'recsim-env[report]', and a browser "
                    f"on the path ({type(error).__name__}: {str(error).strip().splitlines()[0]})"
                ) from error
