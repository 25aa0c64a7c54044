"""The report: one file with all in it, tables in three forms, and what it says of folders that hold nothing."""

from __future__ import annotations

import html
import json
import logging
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from benchmark.experiment import Experiment
from benchmark.report.command import latex
from benchmark.report.data import Results
from benchmark.report.lives import Teller, users_of
from recsim_env.errors import DataError
from recsim_env.fields import Field
from recsim_env.scenario import Scenario
from tests.benchmark.commands import run

pytest.importorskip("plotly", reason="plotly is not installed: pip install 'recsim-env[report]'")
from benchmark.report import figures, images
from benchmark.report.captions import CAPTIONS
from benchmark.report.page import ERRORS, counted, sentence

WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"
AGENTS = ("tabular_q", "myopic_oracle", "random")
FIGURES = ("engagement", "curves", "now", "survival", "diversity", "shown")


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
    assert list(figures) == [f"figure-0-{name}" for name in FIGURES]
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


def lives_on(page: str) -> list[dict[str, Any]]:
    found = re.search(r"const lives = (\[.*\]);\n", page)
    assert found
    return list(json.loads(found.group(1)))


def test_replayed_lives_are_those_that_were_evaluated(folder: Path) -> None:
    [told] = lives_on((folder / "report" / "report.html").read_text(encoding="utf-8"))
    assert told["pair"] == ["tabular_q", "myopic_oracle"] and set(told["lives"]) == set(AGENTS)
    assert len(told["users"]) == len(set(told["users"])) == 3
    for agent, lives in told["lives"].items():
        [path] = folder.rglob(f"{agent}/seed-0/evaluation.parquet")
        evaluated = pd.read_parquet(path).set_index("user")
        for user, life in zip(told["users"], lives, strict=True):
            row = evaluated.loc[user]
            assert (life["length"], life["cut"]) == (row["length"], row["cut"])
            assert life["engagement"] == pytest.approx(row["engagement"])
            assert len(life["steps"]) == row["length"] and len(life["first"]) == len(told["fields"])
            assert sum(reward for _, reward, _ in life["steps"]) == pytest.approx(row["engagement"])
            assert sum(clicked for items, _, _ in life["steps"] for _, clicked in items) == row["clicks"]


def test_users_to_replay_lie_from_the_least_to_the_most_difference(folder: Path) -> None:
    results = Results.read(folder)
    users = users_of(results, WORLD, ("tabular_q", "random"), 3)
    table = results.users[results.users["seed"] == 0].pivot_table(index="user", columns="agent", values="engagement")
    gains = (table["tabular_q"] - table["random"])[users]
    assert gains.is_monotonic_increasing
    assert len(users_of(results, WORLD, ("tabular_q", "random"), 500)) == 30


def test_items_are_called_by_their_names() -> None:
    items = np.zeros(1, [("id", np.int64), ("length", np.float64), ("topics", np.float64, 3)])
    items[0] = (1, 2.5, (0, 0, 1))
    fields = [Field("id", low=0, high=1, integer=True), Field("length"), Field("topics", shape=3)]
    world = SimpleNamespace(item_fields=lambda: fields, item_names=lambda: ["Alien", "Solaris"])
    assert Teller(cast(Scenario, world)).item(items[0]) == "Solaris, length 2.5, topics 2"
    world.item_names = lambda: ()
    assert Teller(cast(Scenario, world)).item(items[0]).startswith("item 1, ")


def test_figures_are_written_as_pictures_or_the_reason_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def no_browser(*_: Any, **__: Any) -> None:
        raise RuntimeError("no Chrome is found\nmore")

    monkeypatch.setattr(images, "write_images", no_browser)
    words = ("report", str(folder), "--lives", "0", "--images", "--out", str(tmp_path / "out"))
    assert run(monkeypatch, *words) == 2
    assert "(RuntimeError: no Chrome is found)" in capsys.readouterr().err
    asked: list[Path] = []

    def writes(figures: list[Any], paths: list[Path], **_: Any) -> None:
        logging.getLogger("choreographer.channels.pipe").error("JSONError decoding message. Ignoring")
        asked.extend(paths)
        for path in paths:
            path.write_text(f"figure {len(figures)}")

    monkeypatch.setattr(images, "write_images", writes)
    (tmp_path / "out" / "images" / "mine.png").write_text("holiday")
    assert run(monkeypatch, *words) == 0
    assert "JSONError" not in caplog.text + capsys.readouterr().err
    assert {path.name for path in asked} == {f"figure-0-{n}.{form}" for n in FIGURES for form in ("png", "svg")}
    kept = {path.name for path in (tmp_path / "out" / "images").iterdir()}
    assert kept == {"mine.png", *(path.name for path in asked)}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert lives_on(page) == [None] and "none was asked for (--lives 0)" in page


def test_agents_that_cannot_be_had_any_more_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Experiment) -> dict[str, Scenario]:
        raise DataError("the ratings are gone")

    monkeypatch.setattr(Experiment, "check", gone)
    assert run(monkeypatch, "report", str(folder), "--out", str(tmp_path)) == 0
    assert "the ratings are gone" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_nothing_but_an_earlier_report_is_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(out: Path) -> str:
        assert run(monkeypatch, "report", str(folder), "--lives", "0", "--out", str(out)) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        return said

    (tmp_path / "README.md").write_text("read me")
    assert "cannot be written" in told(tmp_path / "README.md")
    (tmp_path / "report.html").write_text("<!doctype html><title>mine</title>")
    assert "report.html exists and was not written by this command" in told(tmp_path)
    (tmp_path / "report.html").rename(tmp_path / "overall.csv")
    assert "overall.csv exists without a report.html" in told(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "overall.csv"}
    for _ in range(2):
        assert run(monkeypatch, "report", str(folder), "--lives", "0", "--out", str(tmp_path / "new")) == 0


@pytest.mark.parametrize("name", ["evaluation", "items"])
def test_a_damaged_table_is_told_with_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.copytree(folder, tmp_path / "runs")
    damaged = next((tmp_path / "runs").rglob(f"{name}.parquet"))
    damaged.write_bytes(b"PAR1 no more")
    assert run(monkeypatch, "report", str(tmp_path / "runs"), "--lives", "0") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{damaged} is missing or damaged" in said


def test_every_figure_has_its_sentences_and_the_table_fits_the_page(folder: Path) -> None:
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    for name in FIGURES:
        assert f"<figcaption>{CAPTIONS[name][0]}</figcaption>" in page and CAPTIONS[name][1].split(";")[0] in page
    told = (folder / "report" / "ranking-0.tex").read_text(encoding="utf-8")
    assert all(name in told and name not in page for name in ERRORS)
    assert figures.NO_BANDS in page


@pytest.mark.parametrize(("seeds", "traces"), [(2, 1), (3, 2)])
def test_two_seeds_have_no_band(seeds: int, traces: int) -> None:
    rows = [("w", "dqn", k, "eval/engagement", step, k + step) for k in range(seeds) for step in (0, 10)]
    table = pd.DataFrame(rows, columns=["scenario", "agent", "seed", "curve", "step", "value"])
    results = SimpleNamespace(curves=table, experiment=SimpleNamespace(agents=["dqn"]))
    drawn = figures.curves(cast(Results, results), "w")
    assert drawn is not None and len(drawn.data) == traces
    assert figures.note_of(drawn) == (figures.BANDS if seeds > 2 else figures.NO_BANDS)


def test_the_axis_is_short_where_an_interval_is_long() -> None:
    means = {"engagement": [12.0, 10.0]}
    assert figures.axis_of(pd.DataFrame({**means, "low": [11.0, 9.0], "high": [13.0, 11.0]})) is None
    reach = figures.axis_of(pd.DataFrame({**means, "low": [-50.0, 9.0], "high": [80.0, 11.0]}))
    assert reach == pytest.approx((7.9, 14.1))
    assert figures.axis_of(pd.DataFrame({"engagement": [1.0], "low": [-np.inf], "high": [np.inf]})) is None


def test_the_first_sentence_says_who_may_be_as_good() -> None:
    means = [165.2, 160.0, 1.0]
    ranking = pd.DataFrame({"agent": ["a", "b", "c"], "rank": 1, "below": 0, "engagement": means})
    assert sentence(ranking) == (
        "a has the highest engagement, 165.2 a session; b and c are so close that the difference may be chance."
    )
    assert "; b is so close that" in sentence(ranking[:2])
    assert "; b is so close that" in sentence(ranking.assign(below=[0, 0, 1]))  # c is linked to a by b, and below it
    assert sentence(ranking.assign(below=[0, 1, 1])) == "a has the highest engagement, 165.2 a session."
    assert sentence(ranking.assign(rank=[1, 2, 2], below=[0, 1, 1])) == "a leads with 165.2 a session."


def test_the_replay_has_the_colours_of_the_charts(folder: Path) -> None:
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    looks = json.loads(page.split("const looks = ")[1].split(";\n")[0])
    drawn = {str(t["name"]): cast(Any, t["marker"]) for t in figures_of(page)["figure-0-engagement"]["data"]}
    assert {name: look["color"] for name, look in looks.items()} == {n: m["color"] for n, m in drawn.items()}


def test_several_worlds_have_a_table_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, out = tmp_path / "two.yaml", tmp_path / "runs"
    agents = "".join(f"  {name}:\n" for name in ("myopic_oracle", "patient_oracle", "random"))
    file.write_text(
        f"scenarios:\n  {WORLD}:\n    leave: 0.04\n  long_term_satisfaction:hard:\n"
        f"agents:\n{agents}seeds: 3\nsteps: 2_560\nusers: 60\n"
    )
    assert run(monkeypatch, "bench", str(file), "--workers", "1", "--out", str(out)) == 0
    assert run(monkeypatch, "report", str(out), "--lives", "0") == 0
    page = html.unescape((out / "report" / "report.html").read_text(encoding="utf-8"))
    assert "interquartile mean of scores" in page and CAPTIONS["profile"][1].split(",")[0] in page
    assert "TinyWorld (leave=0.04)</h2>" in page
    over = pd.read_csv(out / "report" / "overall.csv").set_index("agent")
    assert over.loc["patient_oracle", "score"] == pytest.approx(1.0, abs=0.1) and over.loc["random", "beats_first"] == 0
    assert r"patient\_oracle & " in (out / "report" / "overall.tex").read_text(encoding="utf-8")


def test_one_is_no_plural() -> None:
    assert [counted(number, "seed") for number in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
