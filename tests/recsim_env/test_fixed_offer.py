"""An offer that is always the same is kept once, and seen as if it were made anew at each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from recsim_env import Field, Options, RecEnv, RecVectorEnv, Scenario, param
from recsim_env.snapshot import Snapshot
from scenarios.boredom import Boredom
from scenarios.organic_bandit import OrganicBandit

WATCHED = {"observe": "full", "history": 2, "totals": True}


@dataclass(frozen=True)
class Shelf(Scenario):
    """Candidates with all that candidates can have: features, categories, an id, a mask, and something hidden."""

    num_candidates: int = param(6, "", low=1)
    slate_size: int = param(2, "", low=1)
    anew: bool = param(False, "whether the same offer is made anew at each step")

    @property
    def offer_is_fixed(self) -> bool:
        return not self.anew

    def user_fields(self) -> list[Field]:
        return [Field("mood", low=0, high=1, seen=True)]

    def item_fields(self) -> list[Field]:
        return [
            Field("id", low=0, high=self.num_candidates - 1, integer=True, seen=True),
            Field("allowed", low=0, high=1, integer=True, seen=True),
            Field("extent", low=0, high=2, shape=2, seen=True),
            Field("colour", categories=3, seen=True),
            Field("weight", low=0, high=9),
        ]

    def arrive(self, user, rng):  # type: ignore[no-untyped-def]
        user.mood = rng.uniform()

    def offer(self, user, items, rng):  # type: ignore[no-untyped-def]
        for position in range(len(items)):
            item = items[position]
            item.id, item.allowed, item.colour = position, min(1, abs(position - 1)), position % 3
            item.extent[0], item.extent[1], item.weight = 0.5 * position, 1.0, 2.0 * position

    def respond(self, user, items, slate, responses, scratch, rng):  # type: ignore[no-untyped-def]
        for place in range(len(slate)):
            responses[place].clicked = 1.0 if rng.uniform() < 0.1 * items[slate[place]].weight else 0.0

    def left(self, user):  # type: ignore[no-untyped-def]
        return user.mood > 0.9

    def evolve(self, user, items, slate, responses, rng):  # type: ignore[no-untyped-def]
        user.mood = rng.uniform()


@dataclass(frozen=True)
class AnewBoredom(Boredom):
    """The same, offered anew."""

    @property
    def offer_is_fixed(self) -> bool:
        return False


@dataclass(frozen=True)
class AnewBandit(OrganicBandit):
    """The same, offered anew."""

    @property
    def offer_is_fixed(self) -> bool:
        return False


BORED = {"num_items": 30, "num_candidates": 30, "slate_size": 3, "slope": 10.0, "session_steps": 8}
PAIRS: dict[str, tuple[Scenario, Scenario]] = {
    "every kind of field": (Shelf(), Shelf(anew=True)),
    "noise": (Shelf(noise=0.1), Shelf(anew=True, noise=0.1)),
    "boredom": (Boredom(**BORED), AnewBoredom(**BORED)),
    "organic_bandit": (OrganicBandit(slate_size=2), AnewBandit(slate_size=2)),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_what_is_seen_and_lived_is_the_same(name: str, jit: bool) -> None:
    kept, anew = (RecVectorEnv(world, 5, Options(jit=jit, **WATCHED)) for world in PAIRS[name])
    assert kept.single_observation_space == anew.single_observation_space
    rng, scenario = np.random.default_rng(0), kept.scenario
    seen = [kept.reset(seed=3)[0], anew.reset(seed=3)[0]]
    for _ in range(25):
        slates = rng.permuted(np.tile(np.arange(scenario.num_candidates), (5, 1)), axis=1)[:, : scenario.slate_size]
        one, other = kept.step(slates), anew.step(slates)
        seen += [one[0], other[0]]
        assert (one[1] == other[1]).all()
    for here, there in zip(seen[::2], seen[1::2], strict=True):
        assert list(here) == list(there)
        for key in here:
            assert (here[key] == there[key]).all(), key


def test_one_users_candidates_are_their_own_and_many_share_them_read_only() -> None:
    world = Shelf()
    observation, _ = RecEnv(world).reset(seed=0)
    observation["candidate_ids"][:] = -1
    assert (RecEnv(world).reset(seed=0)[0]["candidate_ids"] == np.arange(6)).all()
    many, _ = RecVectorEnv(world, 3).reset(seed=0)
    with pytest.raises(ValueError, match="read-only"):
        many["candidate_ids"][0] = -1


def test_snapshots_leave_the_offer_out_and_go_on() -> None:
    envs = RecVectorEnv(Shelf(), 4)
    envs.reset(seed=1)
    slates = np.tile([0, 2], (4, 1))
    envs.step(slates)
    snapshot: Snapshot = envs.snapshot()
    assert "items" not in snapshot.state
    rewards = [envs.step(slates)[1] for _ in range(5)]
    envs.restore(snapshot)
    assert all((envs.step(slates)[1] == before).all() for before in rewards)
