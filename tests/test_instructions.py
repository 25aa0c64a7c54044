"""The count of instructions says the same each time, and finds a world that asks for more."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import pytest

from recsim_env.scenario import Item, Items, Responses, Rng, Slate, User
from scenarios.interest_evolution import InterestEvolution
from tests.scripts import script


@pytest.fixture(scope="module")
def instructions() -> ModuleType:
    return script("instructions")


@dataclass(frozen=True)
class Wasteful(InterestEvolution):
    """Looks at every candidate once more than it need."""

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        for _ in range(20):
            for position in range(len(items)):
                items[position].topic += 0

    def appeal(self, user: User, item: Item) -> float:
        return 0.0


def test_the_count_is_the_same_each_time_and_grows_with_the_work(instructions: ModuleType) -> None:
    world = InterestEvolution()
    assert instructions.count(world) == instructions.count(world)
    assert instructions.count(Wasteful()) > instructions.MOST * instructions.count(world)


def test_more_than_a_tenth_above_the_record_fails(instructions: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    instructions.check({"a": 109}, {"a": 100}, "3.11")
    with pytest.raises(SystemExit, match=r"a needs 1\.12 times what is on record"):
        instructions.check({"a": 112}, {"a": 100}, "3.11")
    with pytest.raises(SystemExit, match="b is not on record"):
        instructions.check({"a": 100, "b": 1}, {"a": 100}, "3.11")
    instructions.check({"a": 100}, {}, "3.99")
    assert "Nothing was compared: no counts are on record for Python 3.99" in capsys.readouterr().out
