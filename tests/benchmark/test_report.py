"""The report: one file with all in it, tables in three forms, and what it says of folders that hold nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from benchmark.report.command import latex
from tests.benchmark.commands import run

pytest.importorskip("plotly", reason="plotly is not installed: pip install 'recsim-env[report]'")
WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"
AGENTS = ("tabular_q", "myopic_oracle", "random")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment with its report."""
    out = tmp_path_factory.mktemp("report") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        words = ("--agents", ",".join(AGENTS), "--seeds", "2", "--steps", "2560", "--users", "30", "--workers", "1")
        assert run(patch, "bench", WORLD, *words, "--out", str(out)) == 0
        assert run(patch, "report", str(out)) == 0
    return out


def figures_of(page: str) -> dict[str, dict[str, list[dict[str, object]]]]:
    found = re.search(r"const figures = (\{.*\});\n", page)
    assert found
    return dict(json.loads(found.group(1)))


def test_the_page_needs_nothing_from_elsewhere(folder: Path) -> None:
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page)
    told = json.loads((folder / "experiment.json").read_text())
    assert all(agent in page for agent in AGENTS) and told["hash"] in page


def test_every_figure_is_drawn_from_the_runs(folder: Path) -> None:
    figures = figures_of((folder / "report" / "report.html").read_text(encoding="utf-8"))
    names = ("engagement", "curves", "now", "survival", "diversity", "shown")
    assert list(figures) == [f"figure-0-{name}" for name in names]
    ranking = pd.read_csv(folder / "ranking.csv")
    drawn = {str(trace["name"]): trace for trace in figures["figure-0-engagement"]["data"]}
    assert set(drawn) == set(AGENTS) and len(ranking) == 3
    now = figures["figure-0-now"]["data"]
    assert {trace["name"] for trace in now} == set(AGENTS)


def test_tables_are_kept_as_csv_and_latex(folder: Path) -> None:
    kept, ranking = pd.read_csv(folder / "report" / "ranking-0.csv"), pd.read_csv(folder / "ranking.csv")
    assert kept["engagement"].tolist() == ranking["engagement"].tolist()
    text = (folder / "report" / "ranking-0.tex").read_text(encoding="utf-8")
    assert r"myopic\_oracle" in text and text.count(r"\\") == 4


def test_latex_takes_names_as_they_are() -> None:
    assert r"a\_b & 50 \% \\" in latex(pd.DataFrame({"x": ["a_b"], "y": ["50 %"]}))


def test_a_name_cannot_end_the_script() -> None:
    from benchmark.report.page import safe

    assert "</script>" not in safe(json.dumps({"name": "</script><script>alert(1)"}))


def test_mistakes_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "report", str(tmp_path)) == 2
    assert "holds no experiment" in capsys.readouterr().err
    (tmp_path / "experiment.json").write_text((folder / "experiment.json").read_text())
    assert run(monkeypatch, "report", str(tmp_path)) == 2
    assert "6 of 6 runs" in capsys.readouterr().err
