"""Mistakes that show in a scenario's text: each message names class, verb, line, rule and the nearest name."""

# mypy: disable-error-code="no-any-return"
# What verbs read of a record is Any.

from __future__ import annotations

import inspect
import random
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from recsim_env import Field, Scenario, choice, param
from recsim_env.errors import ScenarioError
from recsim_env.registration import load_class
from recsim_env.scenario import Item, Items, Responses, Rng, Scratch, Slate, User
from recsim_env.source import check_source, check_verb_names
from tests.worlds import TinyWorld, data_free_scenarios


@dataclass(frozen=True)
class Reader(Scenario):
    """Reads what is good and leaves when patience is spent: right, and the base of what is broken below."""

    num_candidates: int = param(3, "articles on offer", low=1, high=100)
    slate_size: int = param(2, "articles shown", low=1, high=100)
    patience: float = param(3.0, "of a new reader", low=0)
    style: str = param("plain", "of the articles: text")

    def user_fields(self) -> Sequence[Field]:
        return [Field("patience", low=0, high=10, seen=True), Field("mood", shape=2)]

    def item_fields(self) -> Sequence[Field]:
        return [Field("quality", low=0, high=1, seen=True), Field("topic", categories=3)]

    def tables(self) -> Mapping[str, np.ndarray]:
        return {"weights": np.full(3, 0.5)}

    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = self.patience

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].quality = rng.uniform()
            items[position].topic = rng.integer(3)

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            item, response = items[slate[place]], responses[place]
            if rng.uniform() < item.quality * self.weights[item.topic]:
                response.clicked = 1.0

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience -= 0.5

    def left(self, user: User) -> bool:
        return user.patience <= 0.0

    def appeal(self, user: User, item: Item) -> float:
        return item.quality


def tire(user: User, amount: float) -> None:
    user.patiense -= amount


def roll() -> float:
    return random.random()


# Each class has one mistake; the line that holds it ends in "# here".


class MisspeltUserField(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patiense -= 0.5  # here


class MisspeltItemField(Reader):
    def appeal(self, user: User, item: Item) -> float:
        return item.qualty  # here


class MisspeltFieldOfAnElement(Reader):
    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].qualty = rng.uniform()  # here


class MisspeltFieldOfAnAlias(Reader):
    def reward(self, user: User, responses: Responses) -> float:
        total = 0.0
        for place in range(len(responses)):
            response = responses[place]
            first = response
            total += first.cliked  # here
        return total


class MisspeltFieldInALoop(Reader):
    def reward(self, user: User, responses: Responses) -> float:
        total = 0.0
        for response in responses:
            total += response.cliked  # here
        return total


class MisspeltKey(Reader):
    def left(self, user: User) -> bool:
        return user["patiense"] <= 0.0  # here


class MisspeltInAFunction(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        tire(user, 0.5)


class FieldOfManyRecords(Reader):
    def offer(self, user: User, items: Items, rng: Rng) -> None:
        items.quality = rng.uniform()  # here


class MisspeltParameter(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = self.pasience  # here


class MisspeltTable(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = self.weigths[0]  # here


class TextParameter(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = len(self.style)  # here


class ClassAttribute(Reader):
    bonus = 2.0

    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = self.bonus  # here


class MisspeltLocal(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        amount = 0.5
        user.patience -= amount * amout  # type: ignore[name-defined]  # noqa: F821  # here


class MisspeltModuleName(Reader):
    def left(self, user: User) -> bool:
        return user.patience <= np.absolut(0.0)  # type: ignore[attr-defined]  # here


class NumpysGenerator(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = np.random.random()  # noqa: NPY002  # here


class PythonsGenerator(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = random.random()  # here


class GeneratorInAFunction(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = roll()


class MisspeltDraw(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = rng.unifrom()  # here


class MisspeltDrawAtAPosition(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience -= rng.at(slate[0]).norml(0.5, 0.1)  # here


class SuperCall(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        super().arrive(user, rng)  # here


class BaseCall(Reader):
    def arrive(self, user: User, rng: Rng) -> None:
        Reader.arrive(self, user, rng)  # here


class HelperMethod(Reader):
    def start(self) -> float:
        return 1.0

    def arrive(self, user: User, rng: Rng) -> None:
        user.patience = self.start()  # here


class FunctionOfAModule(Reader):
    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.patience -= choice.position_based(0.5, 0, 0.5, rng)  # here


class WrongArguments(Reader):
    def left(self, user: User, rng: Rng) -> bool:  # type: ignore[override]  # here
        return user.patience <= 0.0


class AnyArguments(Reader):
    def left(self, *arguments: Any) -> bool:  # here
        return False


class StaticVerb(Reader):
    left = staticmethod(lambda user: False)


class NoOffer(Scenario):
    def user_fields(self) -> Sequence[Field]:
        return []

    def item_fields(self) -> Sequence[Field]:
        return [Field("id", integer=True, low=0, high=1, seen=True)]

    def arrive(self, user: User, rng: Rng) -> None: ...


MISTAKES: list[tuple[type[Scenario], tuple[str, ...]]] = [
    (MisspeltUserField, ("evolve", "user.patiense", "not a field of the user", "'patience'")),
    (MisspeltItemField, ("appeal", "item.qualty", "not a field of the item", "'quality'")),
    (MisspeltFieldOfAnElement, ("offer", "items[position].qualty", "not a field of the item", "'quality'")),
    (MisspeltFieldOfAnAlias, ("reward", "first.cliked", "not a field of the response", "'clicked'")),
    (MisspeltFieldInALoop, ("reward", "response.cliked", "not a field of the response", "'clicked'")),
    (MisspeltKey, ("left", "user['patiense']", "not a field of the user", "'patience'")),
    (MisspeltInAFunction, ("evolve", "in tire()", "user.patiense", "'patience'")),
    (FieldOfManyRecords, ("offer", "items.quality", "items[…].quality")),
    (MisspeltParameter, ("arrive", "self.pasience", "not a number among the parameters", "'patience'")),
    (MisspeltTable, ("arrive", "self.weigths", "nor a table", "'weights'")),
    (TextParameter, ("arrive", "self.style", "text", "tables() only", "IntEnum")),
    (ClassAttribute, ("arrive", "self.bonus", "class attribute", "@dataclass(frozen=True)")),
    (MisspeltLocal, ("evolve", "'amout'", "not defined", "'amount'")),
    (MisspeltModuleName, ("left", "np.absolut", "does not exist", "'absolute'")),
    (NumpysGenerator, ("arrive", "np.random.random", "hidden state", "draw from rng")),
    (PythonsGenerator, ("arrive", "random.random", "hidden state", "draw from rng")),
    (GeneratorInAFunction, ("arrive", "in roll()", "random.random", "draw from rng")),
    (MisspeltDraw, ("arrive", "rng.unifrom", "'uniform'")),
    (MisspeltDrawAtAPosition, ("evolve", "rng has no 'norml'", "'normal'")),
    (SuperCall, ("arrive", "super()", "module-level function")),
    (BaseCall, ("arrive", "Reader.arrive", "module-level function")),
    (HelperMethod, ("arrive", "self.start", "is a method", "module-level function")),
    (FunctionOfAModule, ("evolve", "choice.position_based", "from recsim_env.choice import position_based")),
    (WrongArguments, ("left", "(self, user)", "(self, user, rng)")),
    (AnyArguments, ("left", "(self, user)", "*arguments")),
    (StaticVerb, ("left", "plain method")),
    (NoOffer, ("must define offer", "items")),
]


def line_marked(owner: type[Scenario]) -> int | None:
    """The file's line that ends in "# here", or None."""
    lines, first = inspect.getsourcelines(owner)
    return next((first + i for i, line in enumerate(lines) if line.rstrip().endswith("# here")), None)


@pytest.mark.parametrize(("owner", "words"), MISTAKES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mistake_in_the_text_is_named(owner: type[Scenario], words: tuple[str, ...]) -> None:
    with pytest.raises(ScenarioError) as caught:
        check_source(owner())
    message = str(caught.value)
    assert "\n" not in message
    for word in (owner.__name__, *words):
        assert word in message
    line = line_marked(owner)
    assert line is None or f"test_source.py, line {line})" in message


@pytest.mark.parametrize("owner", [Reader, TinyWorld, *map(load_class, data_free_scenarios())])
def test_right_scenarios_pass(owner: type[Scenario]) -> None:
    check_source(owner())


def test_names_of_arguments_are_free() -> None:
    class Renamed(Reader):
        def left(me, reader: User) -> bool:
            return reader.patience <= me.patience * 0.0

    check_source(Renamed())

    class RenamedWrongly(Reader):
        def left(me, reader: User) -> bool:
            return reader.patiense <= 0.0

    with pytest.raises(ScenarioError, match=r"reader\.patiense is not a field of the user"):
        check_source(RenamedWrongly())


def test_a_name_bound_to_two_kinds_is_not_judged() -> None:
    class Either(Reader):
        def appeal(self, user: User, item: Item) -> float:
            thing = user
            thing = item
            return thing.quality

    check_source(Either())


def test_a_verb_without_text_is_left_to_the_rehearsal() -> None:
    def left(self: Any, user: User) -> bool:
        return user.patiense <= 0.0

    class Typed(Reader): ...

    Typed.left = types.FunctionType(left.__code__.replace(co_filename="<typed>"), {})  # type: ignore[method-assign]
    check_source(Typed())


class Evolv(Scenario):
    def evolv(self, user: Any, items: Any, slate: Any, responses: Any, rng: Any) -> None:
        """Nobody calls it."""


class Helped(Scenario):
    def rewarding(self) -> float:
        """A method of the author's own, whose name is a verb's with an ending."""
        return 0.0


def test_a_misspelt_verb_is_refused_and_a_method_of_another_name_is_not() -> None:
    with pytest.raises(ScenarioError, match=r"Evolv \(test_source.py, line \d+\): evolv is not a verb.*'evolve'"):
        check_verb_names(Evolv)
    check_verb_names(Helped)
