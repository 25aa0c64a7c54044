"""The tutorials run from their first line to their last, as a reader would run them, in an empty folder.

A page is its fenced blocks in order: `python file=NAME` and `yaml file=NAME` are files to write, `bash` and `python`
are run. What is printed is shown in `text` blocks, which are not run. Commands run in this process, so that a world is
compiled once for a page.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.cli import main

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
FENCE = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = {"python", "yaml", "bash", "text"}


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """(kind, file name or "", content) of each fenced block."""
    for kind, name, content in FENCE.findall(page.read_text(encoding="utf-8")):
        assert kind in KINDS, f"{page.name}: a block of {kind}, which nobody runs"
        yield kind, name, content


def run_command(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `recsim-env` command in this process; it must end with exit code 0."""
    words = shlex.split(line)
    assert words[0] == "recsim-env", f"{line}: only recsim-env commands are run"
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, f"{line}: exit code {ended.value.code}"


def run_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a page in the present folder; how many blocks were run."""
    count = 0
    for kind, name, content in blocks(page):
        if name:
            Path(name).write_text(content, encoding="utf-8")
        elif kind == "bash":
            for line in content.replace("\\\n", " ").strip().splitlines():
                run_command(line, monkeypatch)
        elif kind == "python":
            exec(compile(content, page.name, "exec"), {"__name__": "tutorial"})
        count += kind != "text"
    return count


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.stem)
def test_a_tutorial_runs_word_for_word(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(page, monkeypatch) >= 3


def test_the_first_scenario_is_a_short_file() -> None:
    (content,) = [content for _, name, content in blocks(TUTORIALS / "first_scenario.md") if name == "radio.py"]
    assert len(content.splitlines()) < 40
    ast.parse(content)


@pytest.mark.parametrize(
    "broken",
    [
        "```bash\nrecsim-env evaluate nobody --agent random\n```\n",
        "```bash\nls\n```\n",
        "```python\nraise ValueError\n```\n",
        "```console\nrecsim-env\n```\n",
    ],
)
def test_a_page_that_does_not_run_is_found(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(broken, encoding="utf-8")
    with pytest.raises((AssertionError, ValueError)):
        run_page(tmp_path / "page.md", monkeypatch)
