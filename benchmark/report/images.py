"""The report's figures as PNG and SVG, for papers and slides."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from plotly.graph_objects import Figure
from plotly.io import write_images

from recsim_env.errors import RecSimError
from recsim_env.files import check_place, made

FORMATS = ("png", "svg")
DRIVER = "choreographer"  # the library by which kaleido drives the browser
WIDTH, SCALE = 900, 2  # pixels, and how many of them a PNG has in place of one


def write_pictures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Each figure by its id as a PNG and an SVG on white; earlier ones stay until all are drawn, other files for good.

    Raises:
        RecSimError: kaleido, or the browser it draws with, is missing.
    """
    drawn = [Figure(figure).update_layout(paper_bgcolor="white", plot_bgcolor="white") for figure in figures.values()]
    with tempfile.TemporaryDirectory(dir=made(folder), prefix=".") as part, quiet(DRIVER):
        paths = [Path(part) / f"{name}.{form}" for form in FORMATS for name in figures]
        try:
            write_images(drawn * len(FORMATS), paths, width=WIDTH, scale=SCALE)
        except Exception as error:  # kaleido's and its browser driver's, which share no class
            raise RecSimError(
                f"--images needs kaleido and Chrome or Chromium: pip install 'recsim-env[report]', and a browser "
                f"on the path ({type(error).__name__}: {str(error).strip().splitlines()[0]})"
            ) from error
        for path in paths:
            check_place(folder / path.name)
            path.replace(folder / path.name)


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Let a library's loggers say nothing: the driver tells of messages it ignores as if they were failures."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
