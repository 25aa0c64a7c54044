"""Experiments from files: what they hold, what is wrong in them with its line, and several worlds in one ranking."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.experiment_files import is_experiment, read_experiment
from tests.benchmark.commands import run

WORLDS = Path(__file__).parents[1] / "worlds.py"
TEXT = f"""
scenarios:
  {WORLDS}:TinyWorld: {{leave: 0.1}}
  long_term_satisfaction:hard:
agents:
  random:
  tabular_q: {{alpha: 0.1}}
  myopic_oracle:
  patient_oracle:
seeds: 2
steps: 1280
users: 30
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_file_tells_all(file: Path) -> None:
    found = read_experiment(file)
    assert found.worlds == {f"{WORLDS}:TinyWorld": {"leave": 0.1}, "long_term_satisfaction:hard": {}}
    assert found.agents["tabular_q"] == {"alpha": 0.1}
    assert (found.seeds, found.steps, found.users, found.observe) == (2, 1280, 30, "partial")
    assert len(found.runs()) == 16 and len(found.hash) == 12
    file.write_text(TEXT.replace("seeds: 2", "seeds: 3"), encoding="utf-8")
    assert read_experiment(file).hash != found.hash


def test_a_whole_number_may_be_written_as_a_power_of_ten(file: Path) -> None:
    file.write_text(TEXT.replace("seeds: 2", "seeds: 2e0"), encoding="utf-8")
    assert read_experiment(file).seeds == 2


def test_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text("scenarios: {mine.yaml: , mine.py:Mine: , boredom:slate: }\nagents: {random: }\n", encoding="utf-8")
    names = list(read_experiment(file).worlds)
    assert names == [str(tmp_path / "mine.yaml"), str(tmp_path / "mine.py:Mine"), "boredom:slate"]


def test_a_scenarios_file_is_none(tmp_path: Path) -> None:
    for name, text in (("a.yaml", "scenario: boredom\n"), ("b.yaml", "]["), ("c.yaml", "- 1\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert not is_experiment(str(tmp_path / name))
    assert not is_experiment("boredom") and not is_experiment(str(tmp_path / "absent.yaml"))


def test_the_whole_of_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "bench", str(file), "--out", str(out), "--workers", "1") == 0
    shown = capsys.readouterr().out
    assert (
        "long_term_satisfaction:hard: engagement of a session" in shown and "TinyWorld (leave=0.1): engagement" in shown
    )
    ranking = pd.read_csv(out / "ranking.csv")
    assert ranking["scenario"].nunique() == 2 and len(ranking) == 8
    assert {"gain_paired_error", "gain_unpaired_error"} <= set(ranking.columns)
    assert "experiment.json" in {path.name for path in out.iterdir()}


def test_a_dry_run_estimates_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--agents", "random,popular", "--steps", "1280", "--users", "30", "--dry-run")
    assert run(monkeypatch, "bench", f"{WORLDS}:TinyWorld", *words) == 0
    assert "runs side by side; nothing was kept" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("seeds: 2", "sedes: 2", ["line 10", "unknown key 'sedes'", "did you mean 'seeds'"]),
        ("seeds: 2", "seeds: two", ["line 10", "seeds must be a whole number, not 'two'"]),
        ("seeds: 2", "seeds: true", ["line 10", "seeds must be a whole number, not True"]),
        ("seeds: 2", "seeds: 2.5", ["line 10", "seeds must be a whole number, not 2.5"]),
        ("  random:", "  random: 3", ["line 6", "random must hold one 'name: value' a line, indented, not 3"]),
        ("seeds: 2", "seeds: 0", ["--seeds must be 1 or more, not 0"]),
        ("alpha: 0.1", "alhpa: 0.1", ["unknown parameter", "did you mean 'alpha'"]),
        ("  random:\n", "  random:\n  random:\n", ["line 7", "stands in line 6 too"]),
        ("  random:", "  rnadom:", ["unknown agent 'rnadom'", "did you mean 'random'"]),
        ("agents:", "agents: []\nmore:", ["agents"]),
        ("  long_term_satisfaction:hard:", f"  ./{WORLDS}:TinyWorld:", ["would share a folder; rename one of them"]),
    ],
)
def test_mistakes_are_told(
    before: str,
    after: str,
    words: list[str],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_text(TEXT.replace(before, after, 1), encoding="utf-8")
    assert run(monkeypatch, "bench", str(file), "--out", str(file.parent / "out")) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
    assert not (file.parent / "out").exists()


def test_options_that_the_file_tells_are_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "bench", str(file), "--seeds", "5") == 2
    assert "--seeds does not go with an experiment's file" in capsys.readouterr().err
