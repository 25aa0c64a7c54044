"""Statistics of sessions against hand-made logs, and simulated ones against logged ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recsim_env.errors import DataError
from recsim_env.fitting.checking import compare
from recsim_env.fitting.kernel import COUNTS, WINDOWS
from recsim_env.fitting.moments import Recipe, names, tally_log
from recsim_env.fitting.sessions import Sessions, first_sessions, is_random, take
from recsim_env.fitting.shown import Lens, Shown
from recsim_env.fitting.simulate import Behaviour, random_slates, simulate
from recsim_env.fitting.target import Target
from recsim_env.logs import Interactions
from recsim_env.streams import Purpose
from tests.recsim_env.fitting.snacks import FirstOnes, Snacks, logged

LENS = Lens(3, 2, np.zeros(2), np.ones(2), ("minutes",))
RECIPE = Recipe(LENS, 2, (0.2, 0.4, 0.6, 0.8), 100)
# One session: the groups shown at two places, and the clicks.
GROUPS = [[0, 1], [0, 0], [1, 0], [0, 2], [0, 1], [0, 2], [2, 0]]
CLICKS = [[1, 0], [1, 1], [0, 0], [1, 0], [1, 0], [1, 0], [0, 1]]
AXES = {0: [1.0, 0.0], 1: [0.0, 1.0], 2: [0.6, 0.8]}


def told(groups: list[list[int]], clicks: list[list[int]]) -> dict[str, float]:
    """The statistics of one session, by name."""
    tally = RECIPE.tally(1)
    for step, (group, clicked) in enumerate(zip(groups, clicks, strict=True)):
        unit = np.array([[AXES[g] for g in group]], np.float32)
        minutes = np.array([[[10.0], [20.0]]])
        shown = Shown(np.array([group]), unit, np.array([clicked], float), minutes)
        tally.add(step, shown, np.zeros(1, np.int64), np.zeros(1, np.int64))
    return dict(zip(names(RECIPE), tally.rows()[0].tolist(), strict=True))


def by_hand(groups: list[list[int]], clicks: list[list[int]], window: int) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and shows by how often the item's group was clicked in the steps before."""
    clicked, shown = np.zeros(COUNTS), np.zeros(COUNTS)
    for step, (group, click) in enumerate(zip(groups, clicks, strict=True)):
        past = range(max(0, step - window), step)
        before = [g for s in past for g, c in zip(groups[s], clicks[s], strict=True) if c]
        for g, c in zip(group, click, strict=True):
            shown[before.count(g)] += 1
            clicked[before.count(g)] += c
    return clicked, shown


def test_sums_of_a_hand_made_session() -> None:
    m = told(GROUPS, CLICKS)
    assert (m["length"], m["clicks"], m["length squared"], m["clicks squared"]) == (7, 7, 49, 49)
    assert (m["place_clicks[0]"], m["place_clicks[1]"]) == (5, 2)
    assert (m["pairs"], m["same_pairs"], m["dry"]) == (1, 1, 1)
    assert m["lag"] == 1 * 2 + 2 * 0 + 0 * 1 + 1 + 1 + 1
    assert m["same_lag"] == m["lag"]  # all clicks are on group 0
    assert (m["clicks on group 0"], m["clicks by group squared"], m["no click"]) == (7, 49, 0)
    assert [m[f"step_clicks[{k}]"] for k in range(4)] == [1, 2, 0, 2]  # steps 0, 1, 2, 3 and 4
    assert (m["values[0]"], m["values[1]"], m["values[2]"]) == (7 * 30, 5 * 10 + 2 * 20, 5 * 100 + 2 * 400)
    assert (m["alike_shown[0]"], m["alike_clicks[0]"]) == (2, 1)
    assert m["alike_shown[5]"] == sum(g == 0 for group in GROUPS[1:] for g in group)  # what points like group 0


def test_clicks_by_how_often_the_group_was_clicked() -> None:
    m = told(GROUPS, CLICKS)
    for w, window in enumerate((*WINDOWS, 100)):
        clicked, shown = by_hand(GROUPS, CLICKS, window)
        part = range(w * COUNTS, (w + 1) * COUNTS)
        assert np.array_equal([m[f"own_clicks[{k}]"] for k in part], clicked)
        assert np.array_equal([m[f"own_shown[{k}]"] for k in part], shown)


def test_items_are_grouped_by_their_largest_feature_or_by_thirds() -> None:
    group, unit = LENS.describe(np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]], np.float32))
    assert group.tolist() == [1, 0, 0]
    assert np.allclose(unit, [[0.6, 0.8], [1, 0], [0, 0]])
    thirds = Lens(3, 1, np.array([2.0]), np.array([5.0]), ())
    assert thirds.describe(np.array([[2.0], [3.1], [4.9], [5.0]]))[0].tolist() == [0, 1, 2, 2]


# -- simulated and logged --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> Snacks:
    return Snacks()


def test_a_log_and_simulated_sessions_are_counted_alike(world: Snacks) -> None:
    """The same people under the same policy give equal sums, so that only behaviour can make a difference."""
    log = logged(world, 400, 20, seed=3, policy=FirstOnes(), purpose=Purpose.VALIDATE)
    sessions = first_sessions(log, world)
    recipe = Recipe.of(sessions, world)
    rows = simulate(world, recipe, 400, 3, Behaviour("first", FirstOnes().act))
    assert np.array_equal(tally_log(sessions, recipe), rows)
    assert not np.array_equal(rows, simulate(world, recipe, 400, 4, Behaviour("first", FirstOnes().act)))


def test_simulated_random_slates_have_the_means_of_logged_ones(world: Snacks) -> None:
    sessions = first_sessions(logged(world, 3000, 8), world)
    recipe = Recipe.of(sessions, world)
    target = Target.of(tally_log(sessions, recipe), np.ones(len(names(recipe)), bool))

    def near(other: Snacks) -> bool:
        residuals = target.residuals(simulate(other, recipe, 3000, 1))
        return bool(stats.chi2.sf((residuals**2).sum(), len(residuals)) > 1e-3)

    assert near(world)
    assert not near(replace(world, liked=0.6))


def test_random_slates_are_uniform_and_heed_the_mask(world: Snacks) -> None:
    mask = np.tile(np.array([1, 0, 1, 1, 1, 1], np.float32), (30_000, 1))
    slates = random_slates({"mask": mask}, world, 5, 0, 2, 30_000)
    counts = np.zeros((6, 6))
    np.add.at(counts, tuple(slates.T), 1)
    pairs = counts[np.ix_([0, 2, 3, 4, 5], [0, 2, 3, 4, 5])]
    assert pairs.sum() == 30_000 and not np.diag(pairs).any()
    assert stats.chisquare(pairs[~np.eye(5, dtype=bool)]).pvalue > 1e-3
    tail = random_slates({"mask": mask[:10]}, world, 5, 100, 2, 10)
    assert np.array_equal(tail, slates[100:110])  # the same user, the same slate


# -- which sessions --------------------------------------------------------------------------------------


def test_first_sessions_are_cut_where_the_log_stops(world: Snacks) -> None:
    whole, short = (first_sessions(logged(world, 300, steps), world) for steps in (20, 5))
    assert (len(whole), len(short)) == (300, 300)
    assert set(np.diff(whole.starts)) == {8} and whole.cut == world.horizon
    assert set(np.diff(short.starts)) == {5} and short.cut == 5
    assert (whole.log.session == 0).all()
    assert np.array_equal(whole.log.step, np.tile(np.arange(8), 300))


def test_parts_share_no_session(world: Snacks) -> None:
    one, other = first_sessions(logged(world, 300, 8), world).split(0.2, 1)
    assert (len(one), len(other)) == (240, 60)
    assert not set(one.log.user) & set(other.log.user)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"responses": {"watched": np.zeros((2400, 2))}}, "responses are watched, but Snacks's are clicked"),
    ({"responses": {"clicked": np.zeros((2400, 2))}}, "nothing in the log was clicked"),
    ({"slates": np.zeros((2400, 3), int)}, "slates have 3 places, but Snacks's slate_size is 2"),
    ({"slates": np.tile([6, 0], (2400, 1))}, "slates must lie in .0, 5."),
    ({"observations": {}}, "no column observed_user"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_a_log_that_cannot_be_the_worlds_is_refused(change: dict[str, Any], message: str, world: Snacks) -> None:
    log: Interactions = logged(world, 300, 8)
    with pytest.raises(DataError, match=message):
        first_sessions(replace(log, **change), world)


def test_too_few_sessions_and_other_slates_are_seen(world: Snacks) -> None:
    log = logged(world, 300, 8)
    with pytest.raises(DataError, match="needs 200 users' first sessions from step 0 on, but the log holds 100"):
        first_sessions(take(log, np.flatnonzero((log.user < 100) | (log.step > 0))), world)
    assert is_random(log, world)
    assert not is_random(logged(world, 300, 8, policy=FirstOnes()), world)


# -- the check -------------------------------------------------------------------------------------------


def not_reproduced(sessions: Sessions, recipe: Recipe, world: Snacks) -> list[str]:
    """What a world does not reproduce of a log."""
    draws = [simulate(world, recipe, len(sessions), k, purpose=Purpose.TEST).mean(axis=0) for k in range(30)]
    lines = compare(recipe, tally_log(sessions, recipe).mean(axis=0), draws)
    assert len(lines) > 10
    return [line.name for line in lines if not line.reproduced]


def test_the_check_sees_what_is_not_reproduced() -> None:
    world = Snacks(enough=2)
    sessions = first_sessions(logged(world, 2000, 8), world)
    recipe = Recipe.of(sessions, world)
    assert not not_reproduced(sessions, recipe, world)
    wrong = not_reproduced(sessions, recipe, replace(world, enough=100))
    assert "clicks on the session's favourite group" in wrong
    assert "click rate, group clicked 3 times or more in 5 steps" in wrong
    assert not any("session length" in name for name in wrong)
