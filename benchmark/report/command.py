"""The command `report`: the page of an experiment, and its tables as CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.report.data import Results
from recsim_env.errors import RecSimError
from recsim_env.files import whole


def run_report(runs: Path, out: Path | None) -> None:
    """Read, draw and write.

    Raises:
        RecSimError: plotly is not installed. RunFolderError: the folder holds no finished experiment.
    """
    try:
        from benchmark.report.page import page_of, rows_of
    except ImportError as error:
        raise RecSimError(f"report needs {error.name}: pip install 'recsim-env[report]'") from None
    results, folder = Results.read(runs), out or runs / "report"
    page = page_of(results)
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / "report.html") as part:
        part.write_text(page, encoding="utf-8")
    for number, world in enumerate(results.experiment.worlds):
        ranking = results.rankings[world]
        with whole(folder / f"ranking-{number}.csv") as part:
            ranking.assign(scenario=world).to_csv(part, index=False)
        with whole(folder / f"ranking-{number}.tex") as part:
            part.write_text(latex(pd.DataFrame(rows_of(ranking))), encoding="utf-8")
    print(f"{folder}/report.html, and the tables beside it as .csv and .tex")


def latex(table: pd.DataFrame) -> str:
    """A tabular, with what LaTeX would take for a command escaped."""
    lines = [" & ".join(escaped(cell) for cell in row) + r" \\" for row in [list(table), *table.to_numpy().tolist()]]
    head = rf"\begin{{tabular}}{{{'l' * table.shape[1]}}}"
    return "\n".join([head, r"\hline", lines[0], r"\hline", *lines[1:], r"\hline", r"\end{tabular}", ""])


def escaped(text: str) -> str:
    """Text for LaTeX."""
    for sign in "&%$#_{}":
        text = text.replace(sign, "\\" + sign)
    return text
