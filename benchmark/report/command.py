"""The command `report`: the page of an experiment, and its tables as CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.listing import terminal
from benchmark.rankings import rows_across
from benchmark.report.data import Results
from benchmark.report.lives import replayed
from benchmark.report.place import PAGE, check_report
from recsim_env.errors import InvalidParameter, RecSimError, UntrustedCode
from recsim_env.files import made, whole
from recsim_env.trust import told_by


def run_report(runs: Path, out: Path | None, lives: int, images: bool) -> None:
    """Read, replay, draw and write.

    Args:
        lives: users whose sessions are replayed, in each world.
        images: whether figures are written as PNG and SVG too.

    Raises:
        RecSimError: plotly is not installed. RunFolderError: the folder holds no finished experiment, or `out`
            something else than a report.
    """
    try:
        from benchmark.report.overall import Overall
        from benchmark.report.page import drawn_of, page_of
    except ImportError as error:
        raise RecSimError(f"report needs {error.name}: pip install 'recsim-env[report]'") from None
    if lives < 0:
        raise InvalidParameter(f"--lives must be 0 or more, not {lives}")
    results, folder = Results.read(runs), out or runs / "report"
    check_report(folder)
    with told_by(runs / "experiment.json"):
        overall = Overall.of(results)
        drawn = drawn_of(results, overall)
        told, unlived = replay(results, lives)
        page = page_of(results, overall, drawn, told, unlived)
    made(folder)
    if images:
        from benchmark.report.images import write_pictures

        write_pictures({key: figure for some in drawn.values() for key, figure in some.items()}, folder / "images")
    with whole(folder / PAGE) as part:
        part.write_text(page, encoding="utf-8")
    write_tables(results, folder)
    if overall.scores:
        write_overall(overall.table, folder)
    print(f"{folder / PAGE}, and the tables beside it as .csv and .tex" + ", figures in images" * images)


def replay(results: Results, lives: int) -> tuple[dict[str, Any], str]:
    """Users' sessions under each agent, by world, and why there are none where agents cannot be had any more.

    Raises:
        UntrustedCode: the experiment or an agent's settings name Python code; see `recsim_env.trust`.
    """
    if not lives:
        return {}, "none was asked for (--lives 0)"
    with terminal().status("replaying") as status:

        def tell(agent: str) -> None:
            status.update(f"replaying {lives} users with {agent}")

        try:
            worlds = results.experiment.check()
            told = {name: replayed(results, name, scenario, lives, tell) for name, scenario in worlds.items()}
        except UntrustedCode:
            raise
        except RecSimError as error:
            return {}, str(error)
    return told, ""


def write_tables(results: Results, folder: Path) -> None:
    """Each world's ranking as CSV and LaTeX."""
    from benchmark.report.page import rows_of

    for number, world in enumerate(results.experiment.worlds):
        ranking = results.rankings[world]
        with whole(folder / f"ranking-{number}.csv") as part:
            ranking.assign(scenario=world).to_csv(part, index=False)
        with whole(folder / f"ranking-{number}.tex") as part:
            part.write_text(latex(pd.DataFrame(rows_of(ranking))), encoding="utf-8")


def write_overall(over: pd.DataFrame, folder: Path) -> None:
    """The table over all worlds as CSV and LaTeX."""
    with whole(folder / "overall.csv") as part:
        over.to_csv(part, index=False)
    with whole(folder / "overall.tex") as part:
        part.write_text(latex(pd.DataFrame(rows_across(over))), encoding="utf-8")


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
