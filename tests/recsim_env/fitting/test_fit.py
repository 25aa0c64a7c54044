"""Parameters are found again from logs of a small world, and what a log does not tell is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.fit import write_preset
from recsim_env import registration
from recsim_env.errors import InvalidParameter, UnknownName
from recsim_env.fitting import RANDOM, Behaviour, Estimate, Fit, fit
from recsim_env.fitting.checking import Line
from recsim_env.fitting.estimable import plan_of
from recsim_env.fitting.search import Axis
from recsim_env.logs import Interactions
from recsim_env.registration import find_world
from scenarios.interest_evolution import InterestEvolution
from tests.recsim_env.fitting.snacks import FirstOnes, Snacks, logged
from tests.recsim_env.fitting.test_command import run

TRUTH = {"liked": 0.75, "other": 0.1, "enough": 2}


def near(found: Fit, truth: dict[str, float]) -> bool:
    """Whether each estimate is within four standard errors, or equal where it is a whole number."""
    given = {e.name: e for e in found.estimates}
    return all(abs(given[name].value - value) <= 4 * given[name].error for name, value in truth.items())


@pytest.mark.parametrize("seed", [1, 2])
def test_hidden_parameters_are_found_from_the_defaults(seed: int) -> None:
    log = logged(Snacks(**TRUTH), 3000, 8, seed=seed)  # type: ignore[arg-type]
    found = fit(Snacks(), log, seed=seed, draws=20)
    assert near(found, TRUTH)
    assert not near(found, {"liked": 0.5}) and not near(found, {"enough": 4})
    assert all(e.error < 0.02 for e in found.estimates)
    assert found.scenario.enough == 2 and found.scenario.idle == 0.5
    assert found.distance < 2 * found.freedom
    assert all(line.reproduced for line in found.lines)


def test_a_world_that_cannot_behave_so_is_seen() -> None:
    log = logged(Snacks(**TRUTH), 3000, 8)  # type: ignore[arg-type]
    found = fit(Snacks(enough=100), log, parameters=["liked", "other"], draws=20)
    wrong = [line.name for line in found.lines if not line.reproduced]
    assert any(name.startswith("click rate, group clicked") for name in wrong)
    assert found.distance > 3 * found.freedom


def test_what_the_log_does_not_tell_is_said() -> None:
    log = logged(Snacks(), 1000, 8)
    found = fit(Snacks(other=0.2), log, parameters=["liked", "idle=0:1"], draws=10)
    notes = {e.name: e.note for e in found.estimates}
    assert notes == {"liked": "", "idle": "the log does not tell it"}
    assert np.isinf(found.estimates[1].error)


def test_slates_of_a_named_policy_are_simulated_with_it() -> None:
    log = logged(Snacks(liked=0.8), 1500, 8, policy=FirstOnes())
    found = fit(Snacks(), log, parameters=["liked"], behaviour=Behaviour("first", FirstOnes().act), draws=10)
    assert near(found, {"liked": 0.8})


# -- what is estimated -----------------------------------------------------------------------------------


def test_the_world_or_the_caller_says_what_is_estimated() -> None:
    assert plan_of(Snacks(), ()).names == ("liked", "other", "enough")
    assert plan_of(Snacks(), ["enough", "idle=0.2:3"]).axes == (Axis("enough", 1, 6, True), Axis("idle", 0.2, 1))


@pytest.mark.parametrize(
    ("world", "chosen", "message"),
    [
        (Snacks(), ["likd"], "did you mean 'liked'"),
        (Snacks(), ["idle"], "idle needs a range.*idle=LOW:HIGH"),
        (Snacks(), ["idle=1"], "a range is LOW:HIGH"),
        (Snacks(), ["idle=2:1"], "a range is LOW:HIGH"),
        (Snacks(), ["idle=2:3"], r"must lie inside \[0, 1\]"),
        (InterestEvolution(), ["choice=0:1"], "choice is not a plain number"),
        (InterestEvolution(), [], "does not say what logs tell"),
    ],
)
def test_a_wrong_parameter_is_named(world: Snacks, chosen: list[str], message: str) -> None:
    with pytest.raises((InvalidParameter, UnknownName), match=message):
        plan_of(world, chosen)


@pytest.mark.parametrize("setting", [{"held_out": 0.99}, {"draws": 2}, {"seed": -1}, {"multiple": 0}])
def test_a_setting_out_of_range_is_named(setting: dict[str, float]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(setting))):
        fit(Snacks(), logged(Snacks(), 10, 2, jit=False), **setting)  # type: ignore[arg-type]


@pytest.mark.parametrize("axis", [Axis("a", 0.0, 3.0), Axis("a", 1.0, 200.0), Axis("a", 2, 11, True)])
def test_places_and_values_of_an_axis_are_inverse(axis: Axis) -> None:
    for value in (2.0, 3.0):
        assert axis.value(axis.place(value)) == pytest.approx(value)
    assert (axis.value(0.0), axis.value(1.0)) == (axis.low, axis.high)
    if not axis.whole:
        assert axis.slope(0.4) == pytest.approx((axis.value(0.4 + 1e-6) - axis.value(0.4 - 1e-6)) / 2e-6)


# -- the preset ------------------------------------------------------------------------------------------


def test_the_preset_is_a_world(tmp_path: Path) -> None:
    world = InterestEvolution(slate_size=2, choice="cascade", minutes=123.456789)  # type: ignore[arg-type]
    estimate = Estimate("minutes", "moments", 200.0, 123.456789, 1.0, 121.0, 125.0)
    found = Fit(world, (estimate,), np.eye(1), (Line("x", 0, 0, 0, 0, 0, True),), 800, 200, 1.0, 1)
    path, given = tmp_path / "mine.yaml", {"slate_size": "2", "choice": "cascade"}
    write_preset(path, found, "interest_evolution", given, Path("logs.parquet"), RANDOM)
    read = find_world(str(path)).make()
    assert read == replace(world, minutes=123.457)
    assert "1000 sessions of logs.parquet" in path.read_text()


def test_what_is_collected_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registration, "class_in_file", lambda *given: Snacks)  # which is compiled already
    assert run("collect WORLD --sessions 900 --seed 3 --set liked=0.7 --out logs.parquet", monkeypatch) == 0
    log = Interactions.from_parquet(Path("logs.parquet"))
    assert (len(log), log.terminated.sum(), set(log.session)) == (7200, 900, {0})
    command = "fit logs.parquet --scenario WORLD --set slate_size=2 --parameters liked --draws 10 --out mine.yaml"
    assert run(command, monkeypatch) == 0
    said = capsys.readouterr().out
    assert "liked" in said and "reproduced" in said
    written = Path("mine.yaml").read_text()
    assert "slate_size: 2" in written and "idle" not in written
    value = float(written.split("liked: ")[1].split("\n")[0])
    assert abs(value - 0.7) < 0.03
