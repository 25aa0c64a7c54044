"""The commands `fit` and `collect`: what is wrong is one line, and nothing is written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmark import cli
from tests.recsim_env.fitting import snacks
from tests.recsim_env.fitting.snacks import FirstOnes, Snacks, logged

WORLD = f"{snacks.__file__}:Snacks"

BAD = [
    ("fit nowhere.parquet --scenario WORLD", "nowhere.parquet holds no logged interactions"),
    (
        "fit random.parquet --scenario interest_evolution",
        "responses are clicked, but InterestEvolution's are clicked, m",
    ),
    ("fit random.parquet --scenario WORLD --set slate_size=3", "slates have 2 places, but Snacks's slate_size is 3"),
    ("fit random.parquet --scenario WORLD --out x.txt", "--out must end in .yaml"),
    ("fit random.parquet --scenario WORLD --parameters likd", "did you mean 'liked'"),
    ("fit random.parquet --scenario WORLD --agent dqn", "dqn learns: give the folder of a trained one"),
    ("fit random.parquet --scenario WORLD --held-out 2", "held_out must lie in [0.05, 0.9], not 2"),
    ("fit random.parquet --scenario WORLD", "needs 200 users' first sessions from step 0 on, but the log holds 20"),
    ("fit first.parquet --scenario WORLD", "not drawn at random, so the agent that showed them must be named"),
    ("fit first.parquet --scenario WORLD --agent random", "not drawn at random"),
    ("collect WORLD --out y.parquet", "give --sessions N or --steps N"),
    ("collect WORLD --out y.parquet --sessions 5 --steps 5", "give --sessions N or --steps N"),
    ("collect WORLD --out y.parquet --sessions 5 --agent dqn", "dqn learns: give the folder of a trained one"),
    ("collect WORLD --out y.parquet --steps 5 --users 0", "--users must be 1 or more, not 0"),
    ("collect WORLD --out y.parquet --steps 900000000 --users 900000000", "are too many side by side; log fewer"),
]


def run(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["recsim-env", *arguments.replace("WORLD", WORLD).split()])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a log of random slates and one of another policy's."""
    monkeypatch.chdir(tmp_path)
    logged(Snacks(), 20, 8, jit=False).to_parquet(tmp_path / "random.parquet")
    logged(Snacks(), 20, 8, policy=FirstOnes(), jit=False).to_parquet(tmp_path / "first.parquet")
    return tmp_path


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[arguments for arguments, _ in BAD])
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: str, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: ") and words in said
    assert sorted(path.name for path in folder.iterdir()) == ["first.parquet", "random.parquet"]
