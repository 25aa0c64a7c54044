"""A preview: what is kept of users is what happened to them, and the picture and curves are whole or absent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmark import cli
from benchmark.evaluation import evaluate
from benchmark.preview import command
from benchmark.preview.draw import draw, last_drawn
from benchmark.preview.items import Histogram, Means, Values, tallies_of
from benchmark.preview.panels import drawn_fields
from benchmark.preview.play import EXAMPLES, Block, Journey, names_of, watch
from benchmark.variety import gini
from recsim_env import Field, Scenario, param
from recsim_env.agent import Agent, AgentConfig, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.simulator import Options
from recsim_env.streams import Purpose

LONGEST = 6
ROOT = Path(__file__).parents[2]
COFFEE = f"{ROOT}/examples/coffee_shop.py:CoffeeShop"


@dataclass(frozen=True)
class Clock(Scenario):
    """A user's level starts anywhere and grows by 1 a slate; they leave after as many slates as they have in mind."""

    num_candidates: int = param(4, "of kinds 0, 1, 2, 3, in this order", low=4, high=4)
    slate_size: int = param(2, "items shown at a step", low=1, high=4)
    shortest: int = param(LONGEST, "no session has fewer slates", low=1, high=LONGEST)

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("level"),
            Field("span", integer=True, low=1, high=LONGEST),
            Field("age", integer=True),
            Field("same", low=0, high=1, seen=True),
            Field("lists", shape=6),
            Field("pair", shape=2),
            Field("mood", categories=3),
            Field("ring", shape=9, integer=True),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [
            Field("id", low=0, high=3, integer=True, seen=True),
            Field("kind", categories=4, seen=True),
            Field("weight", low=0, high=1, seen=True),
            Field("parts", shape=3, low=0, high=1, seen=True),
        ]

    def arrive(self, user: Any, rng: Any) -> None:
        user.level = rng.uniform()
        user.span = self.shortest + rng.integer(LONGEST + 1 - self.shortest)
        user.mood = rng.integer(3)
        for k in range(6):
            user.lists[k] = k

    def offer(self, user: Any, items: Any, rng: Any) -> None:
        for position in range(len(items)):
            items[position].id = position
            items[position].kind = position
            items[position].weight = 0.25 * position
            items[position].parts[0] = 0.5

    def respond(self, user: Any, items: Any, slate: Any, responses: Any, scratch: Any, rng: Any) -> None:
        responses[0].clicked = 1.0

    def evolve(self, user: Any, items: Any, slate: Any, responses: Any, rng: Any) -> None:
        user.level += 1.0
        user.age += 1
        user.pair[1] = user.level
        user.ring[user.age % 9] = user.age
        for k in range(6):
            user.lists[k] += 1.0

    def left(self, user: Any) -> bool:
        return user.age >= user.span

    def measures(self, users: np.ndarray) -> dict[str, np.ndarray]:
        return {"grown": users["level"]}


class First(Agent):
    """Shows candidates 0, 1, …, and plays without the compiler."""

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"observe": "partial", "jit": False}

    def act(self, observation: Any, rng: Any) -> np.ndarray:
        return np.tile(np.arange(self.spec.slate_size), (len(observation["response"]), 1))


def first_agent(world: Scenario) -> First:
    return First(AgentConfig(), WorldSpec.of(RecVectorEnv(world, 1, Options(jit=False))))


def journey_of(world: Scenario, users: int = 40) -> Journey:
    return watch(first_agent(world), world, users=users, seed=1, observe="partial", tell=lambda slates, left: None)


# -- the numbers behind the picture ------------------------------------------------------------------------


def check_survival(journey: Journey) -> None:
    """As many are still in session after t slates as have longer sessions; nobody stays beyond `LONGEST`."""
    lengths = journey.table["length"].to_numpy()
    assert journey.left == [int((lengths > t).sum()) for t in range(lengths.max() + 1)]
    assert journey.left[-1] == 0
    assert len(journey.rewards) == len(journey.clicks) == lengths.max()


def check_levels(journey: Journey) -> None:
    """Everybody's level is where it started plus the slates so far, among those who are still there."""
    table = journey.table
    starts, lengths = (table["grown"] - table["length"]).to_numpy(), table["length"].to_numpy()
    assert (starts >= 0).all() and (starts < 1).all()  # at the end a user is not yet the next session's
    for t, quantiles in enumerate(journey.followed["level"].quantiles):
        assert np.allclose(quantiles[:, 0], np.quantile(starts[lengths > t], [0.1, 0.5, 0.9]) + t)
    for t, examples in enumerate(journey.followed["level"].examples):
        known = np.where(lengths[:EXAMPLES] >= t, starts[:EXAMPLES] + t, np.nan)
        assert np.allclose(examples[:, 0], known, equal_nan=True)


@pytest.mark.parametrize("shortest", [1, LONGEST])
def test_survival_and_levels_are_those_that_users_had(shortest: int) -> None:
    journey = journey_of(Clock(shortest=shortest))
    check_survival(journey)
    check_levels(journey)


def test_a_fixed_length_is_survived_by_all_and_then_by_nobody() -> None:
    assert journey_of(Clock()).left == [40] * LONGEST + [0]


def late(journey: Journey) -> None:
    journey.left = [journey.left[0], *journey.left[:-1]]


def early(journey: Journey) -> None:
    journey.left = journey.left[1:]


def one_behind(journey: Journey) -> None:
    trace = journey.followed["level"]
    trace.quantiles = [trace.quantiles[0], *trace.quantiles[:-1]]


def among_all(journey: Journey) -> None:
    """The quantiles over everybody who came, as if those who left were still there."""
    table = journey.table
    starts = (table["grown"] - table["length"]).to_numpy()
    trace = journey.followed["level"]
    trace.quantiles = [np.quantile(starts, [0.1, 0.5, 0.9])[:, None] + t for t in range(len(trace.quantiles))]


@pytest.mark.parametrize("bug", [late, early, one_behind, among_all])
def test_the_checks_catch_numbers_of_another_step_or_of_others(bug: Callable[[Journey], None]) -> None:
    journey = journey_of(Clock(shortest=1))
    bug(journey)
    with pytest.raises(AssertionError):
        check_survival(journey)
        check_levels(journey)


def test_the_checks_catch_a_user_who_is_already_the_next_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Block.step

    def forgets_the_end(self: Block, tallies: Any) -> None:
        step(self, tallies)
        self.users[:] = self.envs.simulator.state.users

    monkeypatch.setattr(Block, "step", forgets_the_end)
    with pytest.raises(AssertionError):
        check_levels(journey_of(Clock(shortest=1)))


def test_it_is_the_sessions_that_an_evaluation_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Clock(shortest=1)
    monkeypatch.setattr("benchmark.preview.play.BLOCK", 16)  # and several blocks are played in step
    told = evaluate(first_agent(world), world, users=40, seed=1, purpose=Purpose.TEST).table
    table = journey_of(world).table
    for column in table.columns:
        assert np.array_equal(table[column], told[column]), column
    check_survival(journey_of(world))
    check_levels(journey_of(world))


def test_fields_are_followed_by_what_they_are() -> None:
    journey = journey_of(Clock())
    fields = journey.followed
    assert names_of(fields["lists"].field) == ["largest", "mean", "smallest"]
    assert np.allclose(fields["lists"].quantiles[2], [[7, 4.5, 2]] * 3)
    assert names_of(fields["pair"].field) == ["pair[0]", "pair[1]"]
    assert np.allclose(fields["pair"].quantiles[3][:, 1], fields["level"].quantiles[3][:, 0])
    shares = fields["mood"].quantiles[0][1]
    assert shares.sum() == pytest.approx(1) and (shares > 0).all()
    drawn = [trace.field.name for trace in drawn_fields(journey, 10)]
    assert drawn == ["level", "pair", "mood"]  # ages, lists and `same` are all alike, and rings hold ids


def test_what_is_on_offer_shown_and_clicked_is_counted() -> None:
    world = Clock(shortest=1)
    journey = journey_of(world)
    slates = journey.table["length"].sum()
    ids, kinds, weights, parts = journey.tallies
    assert isinstance(ids, Values) and isinstance(kinds, Values)
    assert isinstance(weights, Histogram) and isinstance(parts, Means)
    for tally in (ids, kinds):
        assert tally.counts.tolist() == [[slates] * 4, [slates, slates, 0, 0], [slates, 0, 0, 0]]
    places = np.flatnonzero(weights.counts[1])
    assert np.allclose(places / weights.counts.shape[1], [0, 0.25])
    assert np.allclose(parts.counts / parts.weights[:, None], [[0.5, 0, 0]] * 3)
    assert journey.place_clicks.tolist() == [1, 0]


def test_a_masked_candidate_is_not_on_offer() -> None:
    class Masked(Clock):
        def item_fields(self) -> Sequence[Field]:
            return [Field("kind", categories=4, seen=True), Field("allowed", integer=True)]

    (tally,) = tallies_of(Masked())
    offered = np.zeros((1, 4), Masked().item_dtype)
    offered["kind"], offered["allowed"] = np.arange(4), [1, 1, 0, 1]
    tally.count(offered, np.array([[3, 1]]), np.array([[0.0, 1.0]]))
    assert tally.counts.tolist() == [[1, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 0]]


def test_gini_is_0_where_all_are_alike_and_near_1_where_one_has_all() -> None:
    assert gini(np.full(10, 3.0)) == pytest.approx(0)
    assert gini(np.array([0.0] * 99 + [5.0])) == pytest.approx(0.99)
    assert gini(np.array([1.0, 3.0])) == pytest.approx(0.25)


def test_the_picture_ends_where_hardly_anybody_is_left() -> None:
    journey = journey_of(Clock())
    assert last_drawn(journey) == LONGEST
    journey.left = [1000, 900, 400, 19, 5, 0]
    assert last_drawn(journey) == 3
    assert draw(journey_of(Clock(shortest=1)), "Clock").std() > 0


# -- the command --------------------------------------------------------------------------------------------


def run(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["recsim-env", *arguments.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_the_command_leaves_a_picture_and_curves_and_tells_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(f"preview {COFFEE} --agent random --users 30", monkeypatch) == 0
    out, said = tmp_path / "previews" / "coffee_shop-random", capsys.readouterr().out
    for words in ("engagement", "length", "clicks a slate", "30 left, 0 cut by the horizon", "preview.png"):
        assert words in said
    height, width = imread(out / "preview.png").shape[:2]
    assert width == 1600 and height > 800
    events = EventAccumulator(str(out))
    events.Reload()
    assert events.Tags()["images"] == ["preview"]
    still = events.Scalars("session/still_in_session")
    assert [point.step for point in still] == list(range(len(still)))
    assert (still[0].value, still[-1].value) == (1, 0)
    medians = events.Scalars("state/weariness/median")
    assert 0.2 < medians[0].value < 0.8 and medians[0].step == 0  # a new guest's weariness is uniform
    assert events.Scalars("session/clicks_on_a_slate")[0].step == 1
    assert not list(out.parent.glob(".*"))


@pytest.fixture
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of nothing, where only the folder matters."""
    monkeypatch.setattr(command, "draw", lambda journey, name: np.zeros((8, 8, 3), np.uint8))


@pytest.mark.usefixtures("quick_picture")
def test_an_interrupt_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journey, out = journey_of(Clock()), tmp_path / "out"
    command.write(journey, "Clock", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def interrupted(journey: Journey) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "curves", interrupted)
    for folder in (out, tmp_path / "another"):
        with pytest.raises(KeyboardInterrupt):
            command.write(journey, "Clock", folder)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("quick_picture")
def test_an_earlier_preview_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        command.write(journey_of(Clock()), "Clock", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("no_such_world --agent random", ["unknown scenario 'no_such_world'"]),
        ("interest_evolution --agent radom", ["unknown agent 'radom'", "did you mean 'random'"]),
        ("interest_evolution --agent dqn", ["dqn learns: give --steps"]),
        ("interest_evolution --agent random --steps 5", ["random does not learn"]),
        ("interest_evolution --agent random --users 0", ["--users must be 1 or more, not 0"]),
        ("interest_evolution --agent random --seed -1", ["--seed must be 0 or more, not -1"]),
        ("interest_evolution --agent random --set slate_sise=1", ["did you mean 'slate_size'"]),
        ("interest_evolution --agent random --set dqn.gamma=1", ["'dqn' is not among the agents"]),
        ("interest_evolution --agent full", ["full is not the agent folder of a run"]),
        ("interest_evolution --agent random --out full", ["full exists and holds no preview"]),
        ("interest_evolution", ["--agent"]),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear diary")
    assert run(f"preview {arguments}", monkeypatch) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and said.err.startswith("error: ")
    for word in words:
        assert word in said.err
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "letter.txt"]
