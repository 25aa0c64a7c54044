"""The search: what it tries, that it finds what is better, goes on, and what a user gets wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmark.search_space import Dimension
from benchmark.sweep import check_same, sampler_of, search_of
from recsim_env.errors import InvalidParameter, RecSimError, UnknownName
from tests.benchmark.commands import run

pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'recsim-env[sweep]'")
WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"
KINDS = {"gamma": float, "hidden": int, "update": str}


def test_dimensions() -> None:
    assert Dimension.parse("gamma=0.1:0.9", KINDS, "x") == Dimension("gamma", float, 0.1, 0.9)
    assert Dimension.parse("hidden=8:64:log", KINDS, "x") == Dimension("hidden", int, 8, 64, True)
    assert Dimension.parse("update=sarsa, double_q", KINDS, "x").choices == ("sarsa", "double_q")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gamma", "not 'gamma'"),
        ("gamma=0.9:0.1", "low < high"),
        ("gamma=0:0.9:log", "low over 0 for log"),
        ("hidden=1.5:3", "int numbers"),
        ("update=a:b", "update is no number"),
    ],
)
def test_wrong_spaces_are_told(text: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        Dimension.parse(text, KINDS, "x")
    with pytest.raises(UnknownName, match="did you mean 'gamma'"):
        Dimension.parse("gama=0:1", KINDS, "x")


def test_it_finds_that_patience_pays_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"sweep {WORLD} --agent tabular_q --space gamma=0,0.99 --steps 6000 --users 60 --out {tmp_path / 'out'}"
    assert run(monkeypatch, *f"{words} --trials 4".split()) == 0
    shown = capsys.readouterr().out
    assert "tabular_q@gamma=0.99,random" in shown
    assert len(pd.read_csv(tmp_path / "out" / "trials.csv")) == 4
    assert run(monkeypatch, *f"{words} --trials 5".split()) == 0
    assert "[5] " in capsys.readouterr().out
    assert run(monkeypatch, *f"{words} --trials 5 --seeds 2".split()) == 2
    assert "holds another search" in capsys.readouterr().err


def test_no_trial_is_another_ones_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the command is run: a search that goes on draws other settings than it began with."""
    words = f"sweep {WORLD} --agent tabular_q --space alpha=0.01:0.9 --steps 1280 --users 5 --out {tmp_path / 'out'}"
    for trials in (1, 2, 4):
        assert run(monkeypatch, *f"{words} --trials {trials}".split()) == 0
    assert pd.read_csv(tmp_path / "out" / "trials.csv")["params_alpha"].nunique() == 4


def test_trials_beside_each_other_differ_and_can_be_drawn_again() -> None:
    import optuna

    def drawn(seed: int, number: int) -> float:
        study = optuna.create_study()
        trial = study.ask()
        study.sampler = sampler_of(seed, number)
        return trial.suggest_float("alpha", 0.01, 0.9)

    assert len({drawn(seed, number) for seed in range(3) for number in range(5)}) == 15
    assert drawn(0, 3) == drawn(0, 3)


def test_a_search_that_begins_beside_another_is_the_same_search(tmp_path: Path) -> None:
    """It may see a part of what the other one tells."""
    import optuna

    search, study = search_of(WORLD, {}, "tabular_q", {}, ["gamma=0:1"], 100, 1, 1, 0), optuna.create_study()
    study.set_user_attr("seeds", 1)
    check_same(study, search, tmp_path)
    assert set(study.user_attrs) == {"run", "seeds", "space"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--agent random --space gamma=0:1", "random does not learn"),
        ("--agent dqn", "give what to search"),
        ("--agent dqn --space gama=0:1", "did you mean 'gamma'"),
        ("--agent dqn --space gamma=0:1 --seeds 0", "--seeds must be 1 or more, not 0"),
        ("--agent dqn --space gamma=0:1 --set dqn.hidden=x", "hidden must be a whole number"),
    ],
)
def test_mistakes_are_told(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *f"sweep {WORLD} {words} --out {tmp_path / 'out'}".split()) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    from benchmark.sweep import run_sweep

    search = search_of(WORLD, {}, "tabular_q", {}, ["gamma=0:1"], 100, 1, 1, 0)
    with pytest.raises(RecSimError, match=r"pip install 'recsim-env\[sweep\]'"):
        run_sweep(search, 1, tmp_path / "out")
