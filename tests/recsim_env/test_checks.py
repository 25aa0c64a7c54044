"""`check_scenario` and `check_agent`: what is right passes, and each planted mistake is named."""

# mypy: disable-error-code="no-any-return"
# What verbs read of a record is Any.

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from recsim_env import Field, Options, Scenario, find_world, param
from recsim_env.agent import Agent, AgentConfig, Log, top_slates
from recsim_env.checks import (
    PLAIN_CHECKS,
    check_agent,
    check_scenario,
    name_of,
    verbs_allocate_nothing,
    verbs_compile,
    verbs_run_plain,
)
from recsim_env.crowd import each_kind_clicks, everybody_can_click, many_users_keep_the_rules, somebody_leaves
from recsim_env.env import Observation
from recsim_env.errors import AgentError, ScenarioError
from recsim_env.playback import Playback
from recsim_env.rehearsal import rehearse_once
from recsim_env.scenario import Items, Responses, Rng, Scratch, Slate, User
from recsim_env.simulator import Simulator
from recsim_env.trial import Trial
from tests.recsim_env.test_source import MisspeltUserField, Reader
from tests.worlds import data_free_scenarios


@pytest.mark.parametrize("name", data_free_scenarios())
def test_built_in_scenarios_keep_their_contract(name: str) -> None:
    check_scenario(find_world(name).make(), users=6, steps=70)


# Mistakes that plain Python shows: nothing is compiled for them.


class Raises(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        raise ValueError("the reader fell\nasleep")  # here


class DividesByZero(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience -= 1.0 / user.mood[0]  # here


class RaisesLate(Reader):
    def left(self, user: User) -> bool:
        return 1.0 / (user.patience - 1.5) < 0.0  # here


class IndexPastSlate(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        if rng.uniform() < 0.5:
            responses[len(slate)].clicked = 1.0


class WritesTable(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        self.weights[0] = 1.0


CARD = np.dtype((np.record, [("shown", np.float64)]))


class WritesRecordOfTable(Reader):
    def tables(self) -> Mapping[str, np.ndarray]:
        return {"weights": np.full(3, 0.5), "cards": np.zeros(3, CARD)}

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        self.cards[0].shown += 1.0
        user.patience -= 0.5


class NaNReward(Reader):
    def reward(self, user: User, responses: Responses) -> float:
        return float("nan")


class NoReward(Reader):
    def reward(self, user: User, responses: Responses) -> float: ...  # type: ignore[empty-body]


class NoTruth(Reader):
    def left(self, user: User) -> bool: ...  # type: ignore[empty-body]


class NaNState(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.mood[1] = float("nan")


class CategoryOutOfRange(Reader):
    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].topic = 1 + position


class NobodyClicks(Reader):
    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        scratch[0] = 1.0


class LabelNeverSet(Reader):
    label = "minutes"

    def response_fields(self) -> Sequence[Field]:
        return [Field("clicked", low=0, high=1, seen=True), Field("minutes", low=0, high=9)]


class NoClicked(Reader):
    def response_fields(self) -> Sequence[Field]:
        return [Field("minutes", low=0, high=9)]


class NoBounds(Reader):
    def user_fields(self) -> Sequence[Field]:
        return [Field("patience", low=0, seen=True), Field("mood", shape=2)]


class NotAField(Reader):
    def user_fields(self) -> Sequence[Field]:
        return ["patience"]  # type: ignore[list-item]


class NothingSeen(Reader):
    def user_fields(self) -> Sequence[Field]:
        return [Field("patience"), Field("mood", shape=2)]

    def item_fields(self) -> Sequence[Field]:
        return [Field("quality"), Field("topic", categories=3)]

    def response_fields(self) -> Sequence[Field]:
        return [Field("clicked")]


class FieldsRaise(Reader):
    def item_fields(self) -> Sequence[Field]:
        return [Field("quality", low={"low": 0.0}["lowest"])]


class IdOutOfBounds(Reader):
    def item_fields(self) -> Sequence[Field]:
        return [*super().item_fields(), Field("id", integer=True, low=0, high=1, seen=True)]

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].id = position


class OfferFollowsPatience(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience -= 0.1 * (1 + slate[0])

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].quality = rng.uniform() / (1.0 + user.patience)


class OfferIsNotFixed(Reader):
    @property
    def offer_is_fixed(self) -> bool:
        return True

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].quality = rng.uniform()


class FirstSlateMisspelt(Reader):
    first_slate = "randon"


class TablesDiffer(Reader):
    def tables(self) -> Mapping[str, np.ndarray]:
        return {"weights": np.random.default_rng().random(3)}


class TableOfText(Reader):
    def tables(self) -> Mapping[str, np.ndarray]:
        return {"weights": np.array(["a", "b", "c"])}


SEEN: list[int] = []
TOTAL = np.zeros(1)
COUNT = 0


class KeepsAList(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        SEEN.append(slate[0])


class WritesAnArray(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        TOTAL[0] += 1.0


class CountsForAll(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        global COUNT
        COUNT += 1


class SetsAParameter(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        self.patience -= 1.0  # type: ignore[misc]


class ReadsAClock(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience -= time.time() % 1.0


class ImportsItsLuck(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience -= __import__("random").random()


class ReadsHeldScratch(Reader):
    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        scratch[0] += 1.0
        responses[0].clicked = 1.0 if scratch[0] > 2.0 else 0.0


class SeenInfinity(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience = math.inf


class OneMoodNeverClicks(Reader):
    def user_fields(self) -> Sequence[Field]:
        return [*super().user_fields(), Field("kind", integer=True)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = self.patience
        user.kind = 3 + rng.integer(2)

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            responses[place].clicked = 1.0 if user.kind == 3 else 0.0


PLAIN_MISTAKES: list[tuple[type[Scenario], tuple[str, ...]]] = [
    (MisspeltUserField, ("evolve", "user.patiense", "'patience'")),
    (Raises, ("evolve", "test_checks.py, line", "ValueError: the reader fell asleep")),
    (DividesByZero, ("evolve", "divide by zero", "guard the division")),
    (RaisesLate, ("left", "divide by zero", "guard the division")),
    (IndexPastSlate, ("evolve", "index 2 is out of bounds", "another user")),
    (WritesTable, ("evolve", "read-only", "tables()")),
    (WritesRecordOfTable, ("evolve", "read-only", "tables()")),
    (NaNReward, ("reward", "finite number", "nan")),
    (NoReward, ("reward", "finite number", "None")),
    (NoTruth, ("left", "True or False", "None")),
    (NaNState, ("evolve", "user.mood = nan")),
    (CategoryOutOfRange, ("offer", "item.topic = 3", "0 to 2")),
    (NobodyClicks, ("'clicked'", "stays 0")),
    (LabelNeverSet, ("'minutes'", "stays 0")),
    (NoClicked, ("need a field 'clicked'",)),
    (NoBounds, ("'patience'", "finite low and high")),
    (NotAField, ("user_fields()", "list of Field", "'patience'")),
    (NothingSeen, ("no field is seen",)),
    (FieldsRaise, ("item_fields()", "KeyError: 'lowest'")),
    (IdOutOfBounds, ("'candidate_ids'", "holds 2", "[0, 1]")),
    (OfferFollowsPatience, ("other candidates at step 1", "offer_reads_user")),
    (OfferIsNotFixed, ("offer", "offered other candidates than everybody", "offer_is_fixed must return False")),
    (FirstSlateMisspelt, ("first_slate", "'randon'")),
    (KeepsAList, ("evolve", "SEEN is a list", "keep what a user remembers in a field")),
    (WritesAnArray, ("evolve", "TOTAL is an array", "keep what a user remembers in a field")),
    (CountsForAll, ("evolve", "COUNT belongs to all users", "in a field")),
    (SetsAParameter, ("evolve", "self.patience is the same for all users", "a field of the user")),
    (ReadsAClock, ("evolve", "time.time draws from hidden state", "rng")),
    (ImportsItsLuck, ("evolve", "__import__() cannot be compiled", "rng")),
    (ReadsHeldScratch, ("respond", "reads scratch before it writes it", "another user")),
    (SeenInfinity, ("evolve", "user.patience = inf", "since it is seen")),
    (TablesDiffer, ("tables()['weights']", "second call")),
    (TableOfText, ("tables()['weights']", "numbers", "U1")),
]


def message_of(error: type[Exception], run: Callable[[], Any]) -> str:
    """The one line that `run` raises."""
    with pytest.raises(error) as caught:
        run()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_names(message: str, owner: type, words: Sequence[str]) -> None:
    for word in (owner.__name__, *words):
        assert word in message


@pytest.mark.parametrize(("owner", "words"), PLAIN_MISTAKES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mistake_is_named_before_anything_is_compiled(owner: type[Scenario], words: tuple[str, ...]) -> None:
    message = message_of(ScenarioError, lambda: check_scenario(owner(), users=4, steps=12))
    assert_names(message, owner, words)


# Mistakes that only the compiler shows.


class MakesArray(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        draws = np.zeros(len(slate))
        for place in range(len(slate)):
            draws[place] = rng.uniform()
        user.patience -= draws.max()


class MakesList(Reader):
    def left(self, user: User) -> bool:
        mood = [user.patience]
        for part in user.mood:
            mood.append(part + 1.0)
        return mood[len(mood) // 3] <= 0.0


class TextOrNumber(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        amount = 0.5 if user.patience < 1e6 else "a lot"  # here
        user.patience -= amount


class EntersAContext(Reader):
    def left(self, user: User) -> bool:
        with np.errstate():
            return user.patience <= 0.0


class WholeNumbersWrap(Reader):
    """Python's whole numbers have no end; compiled ones have 64 bits."""

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        product = 1
        for factor in range(1, 30):
            product *= factor
        user.patience -= 0.25 + 0.25 * (product < 0)


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        (MakesArray, ("evolve", "test_checks.py, line", "allocates memory", "made here", "scratch")),
        (MakesList, ("left", "test_checks.py, line", "allocates memory", "made here", "scratch")),
        (TextOrNumber, ("evolve", "test_checks.py, line", "cannot be compiled", "Cannot unify")),
        (EntersAContext, ("left", "cannot be compiled", "context manager")),
    ],
)
def test_a_mistake_is_named_by_compiling_verbs(owner: type[Scenario], words: tuple[str, ...]) -> None:
    message = message_of(ScenarioError, lambda: check_scenario(owner(), users=4, steps=12))
    assert_names(message, owner, words)


def test_an_index_past_the_slate_is_caught_in_compiled_verbs() -> None:
    """Where plain Python did not come past it: here its run is left out."""
    message = message_of(ScenarioError, lambda: verbs_compile(Trial(IndexPastSlate(), 4, 12, 0)))
    assert_names(message, IndexPastSlate, ("evolve", "IndexError", "another user"))


def test_right_verbs_compile_without_allocating() -> None:
    trial = Trial(Reader(), 4, 12, 0)
    verbs_compile(trial)
    verbs_allocate_nothing(trial)


def test_compiled_and_plain_lives_must_be_equal() -> None:
    message = message_of(ScenarioError, lambda: check_scenario(WholeNumbersWrap(), users=2, steps=4))
    assert_names(message, WholeNumbersWrap, ("compiled and plain", "at step 1", "users.patience is", "plain"))


def test_a_difference_is_found_at_its_step_user_and_field() -> None:
    kind = np.dtype([("a", np.float64), ("b", np.int64)])
    one, other = (Playback({"users": np.zeros((3, 2), kind), "rows": np.zeros((3, 2, 4))}) for _ in range(2))
    assert not one.difference(other, ("one", "other"))
    one.arrays["rows"][2, 0, 3] = 1.5
    other.arrays["users"]["b"][1, 1] = 7
    assert one.difference(other, ("one", "other")) == "at step 1, user 1: users.b is 0 one and 7 other"
    found = one.of_user(0).difference(other.of_user(0), ("here", "there"))
    assert found == "at step 2, user 0: rows[3] is 1.5 here and 0.0 there"


# Mistakes that only many users show. The world is compiled once: what is wrong is a number.


@dataclass(frozen=True)
class RarelyWrong(Reader):
    """Readers of whom one slate in a few thousand brings what `wrong` says."""

    wrong: int = param(0, "0: nothing, 1: division, 2: infinite reward, 3: genre, 4: no clicks, 5: nobody leaves")

    def user_fields(self) -> Sequence[Field]:
        return [*super().user_fields(), Field("genre", categories=3), Field("reading", low=0, high=1)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = 12.0
        user.reading = rng.uniform()

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            if self.wrong != 4 or user.reading > 0.2:
                responses[place].clicked = 1.0

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        luck = rng.uniform()
        if self.wrong == 1:
            user.mood[0] = 1.0 / math.floor(2000.0 * luck)  # here
        if self.wrong == 3:
            user.genre = math.floor(luck * 3.0003)
        if self.wrong == 2 and luck < 0.0005:
            user.mood[1] = 1e308
        user.patience = 0.9 * user.patience if self.wrong == 5 else user.patience - 0.5

    def reward(self, user: User, responses: Responses) -> float:
        return 1.0 + 10.0 * user.mood[1]


RARE: list[tuple[int, Callable[[Trial], None], tuple[str, ...]]] = [
    (1, many_users_keep_the_rules, ("RarelyWrong.evolve", "ZeroDivisionError", "guard the division")),
    (2, many_users_keep_the_rules, ("RarelyWrong.reward", "finite number, not inf", "guard what makes it")),
    (3, many_users_keep_the_rules, ("RarelyWrong.evolve", "user.genre = 3", "0 to 2")),
    (4, everybody_can_click, ("RarelyWrong.respond", "% of users never click", "times a step")),
    (5, somebody_leaves, ("RarelyWrong.left", "nobody leaves within 5000 steps", "`horizon`")),
]


@pytest.mark.parametrize(("wrong", "check", "words"), RARE)
def test_a_rare_mistake_is_told_with_its_verb(
    wrong: int, check: Callable[[Trial], None], words: tuple[str, ...]
) -> None:
    trial = Trial(RarelyWrong(wrong=wrong), 4, 12, 0)
    verbs_run_plain(trial)  # which does not show it
    assert_names(message_of(ScenarioError, lambda: check(trial)), RarelyWrong, words)


def test_what_is_right_passes_with_notes() -> None:
    trial = Trial(RarelyWrong(), 4, 12, 0)
    for check in (many_users_keep_the_rules, somebody_leaves, everybody_can_click):
        check(trial)
    assert len(trial.notes) == 1
    assert trial.notes[0].startswith("user.patience lay outside its range in ")


def test_a_kind_of_user_without_a_click_is_found_in_the_plain_run() -> None:
    words = ("OneMoodNeverClicks.respond", "users of kind 4 never click")
    message = message_of(ScenarioError, lambda: each_kind_clicks(Trial(OneMoodNeverClicks(), 20, 40, 0)))
    assert_names(message, OneMoodNeverClicks, words)
    with pytest.raises(ScenarioError, match="users of kind 4"):
        check_scenario(OneMoodNeverClicks(), compiled=False)


def test_each_check_is_told_by_name() -> None:
    told: list[str] = []

    @contextmanager
    def during(name: str) -> Iterator[None]:
        told.append(name)
        yield

    assert check_scenario(Reader(), users=3, steps=8, compiled=False, during=during) == []
    assert told == [name_of(check) for check in PLAIN_CHECKS]
    assert told[:2] == ["fields are declared", "tables are numbers"]


# A world that is made for real.


@pytest.mark.parametrize(("owner", "word"), [(MisspeltUserField, "'patience'"), (DividesByZero, "divide by zero")])
def test_making_a_world_names_a_mistake_before_compiling(owner: type[Scenario], word: str) -> None:
    message = message_of(ScenarioError, lambda: Simulator(owner(), 2, Options(), autoreset=True))
    assert_names(message, owner, ("evolve", word))


def test_a_world_that_does_not_compile_names_the_verb() -> None:
    simulator = Simulator(TextOrNumber(), 2, Options(), autoreset=True)
    simulator.reset(0)
    message = message_of(ScenarioError, lambda: simulator.step(np.tile([0, 1], (2, 1))))
    assert_names(message, TextOrNumber, ("evolve", "test_checks.py, line", "cannot be compiled", "Cannot unify"))


def test_plain_worlds_are_left_to_the_debugger() -> None:
    simulator = Simulator(Raises(), 2, Options(jit=False), autoreset=True)
    simulator.reset(0)
    with pytest.raises(ValueError, match="asleep"):
        simulator.step(np.tile([0, 1], (2, 1)))


def test_the_rehearsal_runs_once_for_a_class_and_its_fields() -> None:
    calls: list[int] = []

    @dataclass(frozen=True)
    class Counted(Reader):
        moods: int = param(2, "numbers of a mood", low=1)

        def user_fields(self) -> Sequence[Field]:
            return [Field("patience", low=0, high=10, seen=True), Field("mood", shape=self.moods)]

        def left(self, user: User) -> bool:
            calls.append(len(user.mood))
            return False

    for world in (Counted(), Counted(patience=5.0), Counted(moods=3)):
        rehearse_once(world)
    assert calls == [2, 3]


# Agents.


class Best(Agent):
    """Shows the candidates of the highest quality: keeps the contract, and the base of what is broken below."""

    def __init__(self, config: AgentConfig, spec: Any) -> None:
        super().__init__(config, spec)
        self.sign = np.ones(1)

    def train(self, envs: Any, steps: int, log: Log) -> None:
        envs.reset()
        for _ in range(steps // envs.num_envs):
            envs.step(np.tile(np.arange(self.spec.slate_size), (envs.num_envs, 1)))
        self.sign = -np.ones(1)

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return top_slates(self.sign * observation["candidates"][..., 0], observation, self.spec.slate_size)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"sign": self.sign}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.sign = arrays["sign"]


class Any2(Best):
    """A stochastic policy."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return top_slates(rng.random(observation["candidates"].shape[:2]), observation, self.spec.slate_size)


class Repeats(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return np.repeat(super().act(observation, rng)[:, :1], self.spec.slate_size, axis=1)


class OneTooFar(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return super().act(observation, rng) + 1


class Scores(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return observation["candidates"][..., 0]


class Modifies(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        slates = super().act(observation, rng)
        observation["candidates"] -= 0.5
        return slates


class AddsKeys(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        observation["mean"] = observation["candidates"].mean(axis=1)
        return super().act(observation, rng)


class Overspends(Best):
    def train(self, envs: Any, steps: int, log: Log) -> None:
        super().train(envs, steps + envs.num_envs, log)


class SeedsNumpy(Best):
    def train(self, envs: Any, steps: int, log: Log) -> None:
        np.random.seed(self.config.seed)  # noqa: NPY002


class ActsByPythonsLuck(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        random.random()
        return super().act(observation, rng)


class Alternates(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        self.sign = -self.sign
        return super().act(observation, rng)


class ComparesUsers(Best):
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        quality = observation["candidates"][..., 0]
        return top_slates(np.abs(quality - quality.mean()), observation, self.spec.slate_size)


class Forgets(Best):
    def restore(self, arrays: Mapping[str, np.ndarray]) -> None: ...


def check_briefly(factory: Any) -> None:
    check_agent(factory, Reader(), options={"jit": False}, config=AgentConfig(users=4), users=16, steps=80)


@pytest.mark.parametrize("factory", [Best, Any2, lambda config, spec: Best(config, spec)])
def test_right_agents_pass(factory: Any) -> None:
    check_briefly(factory)


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        (Repeats, ("twice in the slate",)),
        (OneTooFar, ("candidate 3", "0 to 2")),
        (Scores, ("whole numbers", "(16, 2)", "float32 (16, 3)")),
        (Modifies, ("observation['candidates']", "copy")),
        (AddsKeys, ("keys of the observation", "copy")),
        (Overspends, ("train", "80 user-steps")),
        (SeedsNumpy, ("train", "global random state of numpy")),
        (ActsByPythonsLuck, ("act", "global random state of random")),
        (Alternates, ("same observation",)),
        (ComparesUsers, ("alone than in a batch",)),
        (Forgets, ("save and load", "arrays()")),
    ],
)
def test_a_broken_agent_is_named(owner: type[Agent], words: tuple[str, ...]) -> None:
    assert_names(message_of(AgentError, lambda: check_briefly(owner)), owner, words)
