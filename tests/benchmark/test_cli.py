"""The command line: what a user gets wrong is one line and exit code 2, and nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from benchmark import cli

BROKEN = """
from dataclasses import dataclass
from recsim_env import Field, Scenario

@dataclass(frozen=True)
class Broken(Scenario):
    def user_fields(self):
        return [Field("mood", low=0, high=1, seen=True)]
    def item_fields(self):
        return [Field("charm", low=0, high=1, seen=True)]
    def arrive(self, user, rng):
        user.mood = rng.uniform()
    def offer(self, user, items, rng):
        for position in range(len(items)):
            items[position].charm = rng.uniform()
    def respond(self, user, items, slate, responses, scratch, rng):
        responses[0].clicked = user.mod
"""

BAD: list[tuple[str, list[str]]] = [
    # the arguments, and words of the message
    ("bench no_such_world", ["unknown scenario 'no_such_world'"]),
    ("bench interest_evolutoin", ["did you mean 'interest_evolution'"]),
    ("bench long_term_satisfaction:hrad", ["unknown preset", "did you mean 'hard'"]),
    ("bench --agents dqm", ["unknown agent 'dqm'", "did you mean 'dqn'"]),
    ("bench --agents random,random", ["twice"]),
    ("bench --set slate_sise=1", ["unknown parameter", "did you mean 'slate_size'"]),
    ("bench --set slate_size=eleven", ["slate_size must be a whole number", "'eleven'"]),
    ("bench --set slate_size=11", ["slate_size must be at most num_candidates (10)", "11"]),
    ("bench --set slate_size=1 --set slate_size=2", ["--set gives slate_size twice", "'1' and '2'"]),
    ("bench --set dqn.gamma=0 --set dqn.gamma=1", ["--set gives dqn.gamma twice"]),
    ("bench --set minutes=-1", ["minutes must lie in [0, 1e+06]", "-1"]),
    ("bench --set choice=logit", ["one of multinomial_logit, proportional, cascade", "'logit'"]),
    ("bench --set slate_size", ["key=value", "'slate_size'"]),
    ("bench --set dqn.gama=1", ["unknown parameter of agent dqn", "did you mean 'gamma'"]),
    ("bench --set dqn.gamma=2", ["gamma must lie in [0, 1]", "2"]),
    ("bench --agents random --set dqn.gamma=0.9", ["'dqn' is not among the agents"]),
    ("bench --set dqn.device=tpu", ["device must be auto, cpu or cuda", "'tpu'"]),
    ("bench --seeds 0", ["--seeds must be 1 or more, not 0"]),
    ("bench --users -5", ["--users must be 1 or more, not -5"]),
    ("bench --steps 100", ["--steps must be at least", "100"]),
    ("bench --steps many", ["many"]),
    ("bench --workers -1", ["--workers must be 0", "-1"]),
    ("bench --stepz 3", ["--stepz"]),
    ("bnch", ["bnch"]),
    ("bench movielens", ["MovieLens needs data=PATH", "grouplens.org"]),
    ("bench movielens --set data=nowhere", ["nowhere"]),
    ("bench nowhere.yaml", ["cannot read the scenario file nowhere.yaml"]),
    ("bench nowhere.py:World", ["there is no scenario file nowhere.py"]),
    ("bench broken.py:Brokn", ["unknown scenario class", "did you mean 'Broken'"]),
    ("bench broken.py:Broken", ["Broken", "respond", "line 17", "mod", "mood"]),
    ("bench text.yaml", ["text.yaml must hold 'scenario:'"]),
    ("bench extra.yaml", ["extra.yaml", "parametres"]),
    ("bench --out full", ["full exists and holds no experiment"]),
    ("evaluate interest_evolution --agent radom", ["unknown agent 'radom'", "did you mean 'random'"]),
    ("evaluate interest_evolution --agent dqn", ["dqn learns: give --steps"]),
    ("evaluate interest_evolution --agent random --steps 10", ["random does not learn"]),
    ("evaluate interest_evolution --agent full", ["full is not the agent folder of a run"]),
    ("evaluate interest_evolution --agent random --users 0", ["users", "0"]),
    ("collect interest_evolution --sessions 2 --out full", ["full exists and holds no log"]),
    ("collect interest_evolution --sessions 2 --out text.yaml", ["text.yaml is a file", ".parquet, or a folder"]),
    ("collect interest_evolution --sessions 2 --out text.parquet", ["text.parquet exists and is no Parquet file"]),
    ("collect interest_evolution --steps 2000 --out logs", ["--steps writes one file: --out logs.parquet"]),
    ("collect interest_evolution --sessions 2 --out x.parquet --executor ray", ["a folder of files: --out x, not"]),
    ("collect interest_evolution --sessions 2 --out text.yaml/x/y.parquet", ["y.parquet cannot be written"]),
    ("collect interest_evolution --sessions 2 --out /proc/x.parquet", ["/proc/x.parquet cannot be written"]),
    ("fidelity --out full", ["full is a folder", "name a file"]),
    ("scenarios no_such_world", ["unknown scenario"]),
    ("agents dqm", ["did you mean 'dqn'"]),
    ("tensorboard nowhere", ["nowhere holds no curves"]),
]


def run(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["recsim-env", *arguments.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files that are not what they should be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear diary")
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "text.yaml").write_text("just words")
    (tmp_path / "text.parquet").write_text("just words")
    (tmp_path / "extra.yaml").write_text("scenario: interest_evolution\nparametres: {}\n")
    return tmp_path


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[arguments for arguments, _ in BAD])
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: str,
    words: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(p for p in folder.rglob("*") if "__pycache__" not in str(p))
    assert run(arguments, monkeypatch) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("error: ")
    for word in words:
        assert word in said.err
    assert sorted(p for p in folder.rglob("*") if "__pycache__" not in str(p)) == before


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["recsim-env", "agents", "dqm", "--debug"])
    with pytest.raises(ValueError, match="did you mean"):
        cli.main()


def test_evaluate_prints_the_json_of_the_contract(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate long_term_satisfaction --agent random --users 300 --seed 4 --json", monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scenario"] == "long_term_satisfaction"
    assert (told["agent"], told["users"], told["length"]["mean"]) == ("random", 300, 60)
    low, high = told["engagement"]["ci95"]
    assert low < told["engagement"]["mean"] < high
    assert np.isclose(told["click_rate"]["mean"], 1.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("scenarios", ["interest_evolution", "long_term_satisfaction", "movielens", "hard"]),
        ("scenarios interest_evolution", ["num_topics", "200.0", "multinomial_logit"]),
        ("agents", ["random", "popular", "myopic_oracle", "tabular_q", "dqn", "ncf"]),
        ("agents dqn", ["gamma", "0.99", "0 to 1"]),
    ],
)
def test_listings_name_what_there_is(
    arguments: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, monkeypatch) == 0
    told = capsys.readouterr().out
    for word in words:
        assert word in told


def test_help_waits_for_no_library() -> None:
    """So that it is there at once; each of these takes longer to import than all else that help needs."""
    slow = "{'gymnasium', 'numba', 'numpy', 'pandas', 'pydantic', 'recsim_env', 'torch'}"
    code = f"import sys, benchmark.cli; print(*({slow} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_the_version_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version", monkeypatch) == 0
    assert capsys.readouterr().out.strip() == version("recsim-env")


@pytest.mark.parametrize("code", ["ascii", "cp1252"])
def test_a_sign_that_the_output_cannot_show_costs_that_sign(code: str, tmp_path: Path) -> None:
    world = tmp_path / "\u2615 caf\xe9.yaml"
    world.write_text(
        "scenario: interest_evolution\ndescription: \u2615 caf\xe9\nparameters: {slate_size: 1}\n", encoding="utf-8"
    )
    words = [sys.executable, "-m", "benchmark.cli", "scenarios", str(world)]
    done = subprocess.run(words, env={**os.environ, "PYTHONIOENCODING": code}, capture_output=True, check=False)
    assert done.returncode == 0 and b"slate_size" in done.stdout, done.stderr
