"""Where a report is written: it replaces an earlier report, and nothing else."""

from __future__ import annotations

from pathlib import Path

from recsim_env.errors import RunFolderError
from recsim_env.files import check_place

PAGE = "report.html"
TABLES = ("ranking-*.csv", "ranking-*.tex", "overall.csv", "overall.tex")
GENERATOR = b'<meta name="generator" content="recsim-env">'  # in the head of report.html.j2
HEAD = 1000  # bytes in which it stands


def check_report(folder: Path) -> None:
    """Whether the report can be written here; its tables are known to be ours by the page beside them.

    Raises:
        RunFolderError: there is a page, or a table without a page, that somebody else wrote.
    """
    page = folder / PAGE
    check_place(page)
    if page.exists():
        if not is_ours(page):
            raise RunFolderError(f"{page} exists and was not written by this command; choose another --out")
        return
    found = next((path for pattern in TABLES for path in sorted(folder.glob(pattern))), None)
    if found:
        raise RunFolderError(f"{found} exists without a {PAGE} beside it, and would be replaced; choose another --out")


def is_ours(page: Path) -> bool:
    """Whether a report wrote it."""
    with page.open("rb") as file:
        return GENERATOR in file.read(HEAD)
