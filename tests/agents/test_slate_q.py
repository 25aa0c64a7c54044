"""slate_q: the best slate by brute force, known optima with a value of no click, and the mistakes that others made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from agents.choice_values import ChoiceValues, exact, greedy, ratio
from agents.click_values import ClickValues, pooled
from agents.slate_q import Clicks, SlateQ, Training, check_clicks
from agents.slate_values import Offer, kinds, ranks, take
from agents.torch_tools import initialise
from benchmark.evaluation import evaluate
from recsim_env import Field, Scenario, param
from recsim_env.agent import NoLog, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.errors import AgentError, InvalidParameter
from recsim_env.scenario import Items as Candidates
from recsim_env.scenario import Responses, Rng, Scratch, Slate, User
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from recsim_env.wrappers import InteractionBudget
from scenarios.boredom import Boredom
from scenarios.interest_evolution import InterestEvolution
from tests.worlds import LEVELS

STEPS = 30_000
CLICKED = (0.9, 0.3)  # how likely a snack and a meal are clicked; either pays 1


@dataclass(frozen=True)
class RestWorld(Scenario):
    """A click on a snack wears a user out; one on a meal, and a slate without a click, build up."""

    num_candidates: int = param(2, "a snack and a meal, always in this order", low=2, high=2)
    slate_size: int = param(1, "items shown at a step", low=1, high=1)
    leave: float = param(0.05, "chance to leave at a step", low=0.001, high=1)

    def user_fields(self) -> Sequence[Field]:
        return [Field("level", categories=LEVELS, seen=True), Field("gone", integer=True, low=0, high=1)]

    def item_fields(self) -> Sequence[Field]:
        return [Field("kind", categories=2, seen=True)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.level = rng.integer(LEVELS)

    def offer(self, user: User, items: Candidates, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].kind = position

    def respond(
        self, user: User, items: Candidates, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng
    ) -> None:
        responses[0].clicked = rng.uniform() < CLICKED[items[slate[0]].kind]

    def evolve(self, user: User, items: Candidates, slate: Slate, responses: Responses, rng: Rng) -> None:
        change = 1
        if responses[0].clicked == 1.0 and items[slate[0]].kind == 0:
            change = -1
        if user.level + change < 0 or rng.uniform() < self.leave:
            user.gone = 1
        user.level = min(max(user.level + change, 0), LEVELS - 1)

    def left(self, user: User) -> bool:
        return user.gone == 1


PAIR_CLICKED, PAIR_LEAVE = (0.8, 0.5), 0.1


@dataclass(frozen=True)
class PairWorld(Scenario):
    """Two sweets and a meal on offer, two of them shown; who clicks both sweets leaves, else one in ten does."""

    num_candidates: int = param(3, "two sweets and a meal, always in this order", low=3, high=3)
    slate_size: int = param(2, "items shown at a step", low=2, high=2)

    def user_fields(self) -> Sequence[Field]:
        return [Field("full", integer=True, low=0, high=1, seen=True)]

    def item_fields(self) -> Sequence[Field]:
        return [Field("kind", categories=2, seen=True)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.full = 0

    def offer(self, user: User, items: Candidates, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].kind = position // 2

    def respond(
        self, user: User, items: Candidates, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng
    ) -> None:
        for place in range(len(slate)):
            responses[place].clicked = rng.uniform() < PAIR_CLICKED[items[slate[place]].kind]

    def evolve(self, user: User, items: Candidates, slate: Slate, responses: Responses, rng: Rng) -> None:
        sweets = 0.0
        for place in range(len(slate)):
            if items[slate[place]].kind == 0:
                sweets += responses[place].clicked
        user.full = sweets == 2.0 or rng.uniform() < PAIR_LEAVE

    def left(self, user: User) -> bool:
        return user.full == 1


def pair_values() -> np.ndarray:
    """(2,) the values of two sweets, and of a sweet and a meal, if the best slate follows."""
    sweet, meal = PAIR_CLICKED
    best = (sweet + meal) / PAIR_LEAVE
    return np.array([2 * sweet + (1 - PAIR_LEAVE) * (1 - sweet**2) * best, best])


def rest_values(policy: Sequence[int] | None = None) -> np.ndarray:
    """(levels,) expected engagement of showing `policy[level]`, or of the best policy."""
    values, stay = np.zeros(LEVELS), 1.0 - RestWorld().leave
    chances = np.array(CLICKED)
    for _ in range(1000):
        down, up = np.r_[0.0, values[:-1]], np.r_[values[1:], values[-1]]
        after_click = 1.0 + stay * np.c_[down, up]
        both = chances * after_click + (1.0 - chances) * stay * up[:, None]
        values = both.max(axis=1) if policy is None else both[np.arange(LEVELS), list(policy)]
    return values


def trained(world: Scenario, steps: int, **settings: Any) -> SlateQ:
    config = SlateQ.Config(
        **{"totals": False, "learning_rate": 2e-3, "batch": 128, "hidden": 16, "tau": 0.05, **settings}
    )
    envs = RecVectorEnv(world, config.users, Options(**SlateQ.options(config)))
    envs.reset(seed=config.seed)
    agent = SlateQ(config, WorldSpec.of(envs))
    agent.train(InteractionBudget(envs, steps), steps, NoLog())
    return agent


def engagement(agent: SlateQ, world: Scenario) -> float:
    return evaluate(agent, world, users=10_000, seed=7, purpose=Purpose.TEST).summary["engagement"]


def made_up_offer(rng: np.random.Generator, users: int, count: int) -> tuple[torch.Tensor, ...]:
    """Attractions (n, K), values of clicks (n, K) and of no click (n,)."""
    drawn = rng.lognormal(size=(users, count)), rng.normal(1.0, 2.0, (users, count)), rng.normal(1.0, 2.0, users)
    return tuple(torch.as_tensor(values) for values in drawn)


def test_the_exact_slate_is_the_best_of_all() -> None:
    rng, allowed = np.random.default_rng(0), torch.ones((40, 6), dtype=torch.bool)
    attractions, clicked, nothing = made_up_offer(rng, 40, 6)
    looked = torch.tensor([1.0, 0.7, 0.2], dtype=torch.float64)
    every = [torch.tensor(slate).expand(40, 3) for slate in permutations(range(6), 3)]
    values = [ratio(take(attractions, s) * looked, take(clicked, s), nothing) for s in every]
    best = torch.stack(values).max(dim=0).values
    for find, never_worse in ((exact, True), (greedy, False)):
        slates = find(attractions, clicked, nothing, looked, allowed)
        found = ratio(take(attractions, slates) * looked, take(clicked, slates), nothing)
        assert (found <= best + 1e-9).all()
        assert bool((found >= best - 1e-9).all()) == never_worse, find.__name__


def test_what_is_masked_is_not_shown() -> None:
    rng = np.random.default_rng(1)
    attractions, clicked, nothing = made_up_offer(rng, 30, 6)
    allowed = torch.as_tensor(rng.random((30, 6)).argsort(axis=1) < 4)
    looked = torch.ones(3, dtype=torch.float64)
    for slates in (
        exact(attractions * allowed, clicked, nothing, looked, allowed),
        greedy(attractions * allowed, clicked, nothing, looked, allowed),
        ranks(attractions * clicked, allowed, 3),
    ):
        assert take(allowed, slates).all()
        assert all(len(set(slate.tolist())) == 3 for slate in slates)


def click_values(most: int) -> tuple[ClickValues, Offer]:
    """Any values of 8 items of 3 kinds, of which some may not be shown, for 5 users with two profiles."""
    generator = torch.Generator().manual_seed(0)
    values = ClickValues(4, 3, 2, 3, 16, context=True, most=most)
    initialise(values, generator)
    allowed = torch.ones((5, 8), dtype=torch.bool)
    allowed[:, 0] = False
    users, items, profiles = (torch.randn(shape, generator=generator) for shape in ((5, 4), (5, 8, 3), (5, 2, 3)))
    return values, Offer(users, items, allowed, None, items, profiles)


def test_each_place_gets_what_adds_most_below_what_stands_above() -> None:
    values, offer = click_values(most=8)
    with torch.inference_mode():
        best = values.best(offer, 3)
        for place in range(3):
            above, found = best[:, :place], values.value(offer, best[:, : place + 1])
            for item in range(1, 8):
                free = (above != item).all(dim=1)
                other = values.value(offer, torch.cat([above, torch.full((5, 1), item)], dim=1))
                assert (other[free] <= found[free] + 1e-5).all()
    assert (best != 0).all()


def test_few_candidates_of_many_are_the_likeliest_of_every_kind() -> None:
    values, offer = click_values(most=3)
    with torch.inference_mode():
        kept, kind = ranks(values.worth(offer), offer.allowed, 3), offer.raw.argmax(2)
        chances = values._chances(pooled(offer), kinds(offer.raw))
        for user in range(5):
            for of in set(kind[user, 1:].tolist()):
                members = [item for item in range(1, 8) if kind[user, item] == of]
                likeliest = max(members, key=lambda item: chances[user, item].item())
                assert likeliest in kept[user].tolist()
        best = values.best(offer, 3)
    assert all(set(slate) == set(few) for slate, few in zip(best.tolist(), kept.tolist(), strict=True))


def test_profiles_are_users_in_the_terms_of_items() -> None:
    """Of boredom: remembered clicks on topics, the last clicked vectors' sum, and the session's mean."""
    world = Boredom(num_items=30, num_candidates=30, slate_size=5, offset=0.3)
    envs = RecVectorEnv(world, 20, Options(totals=True))
    agent = SlateQ(SlateQ.Config(clicks="independent", gamma=0.9), WorldSpec.of(envs))
    (seen, _), rng = envs.reset(seed=0), np.random.default_rng(0)
    sums = np.split(seen["totals"][:, 1:], 2, axis=1)[1].astype(float)  # of the first slate's clicks
    for _ in range(4):
        slates = rng.random((20, 30)).argsort(axis=1)[:, :5]
        ids = np.take_along_axis(seen["candidate_ids"].astype(int), slates, axis=1)
        seen, _, _, _, info = envs.step(slates)
        last = (world.vectors[ids] * info["clicked"][..., None]).sum(axis=1)
        sums += np.c_[info["clicked"].sum(axis=1), last]
    expected = np.stack([seen["user"], last, sums[:, 1:] / np.maximum(sums[:, :1], 1.0)], axis=1)
    assert np.abs(agent.profiles(seen).numpy() - expected).max() < 1e-5
    assert sums[:, 0].sum() > 100


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_learns_that_no_click_has_a_future(seed: int) -> None:
    assert rest_values([0] * LEVELS).mean() < 0.6 * rest_values().mean()
    assert engagement(trained(RestWorld(), STEPS, seed=seed), RestWorld()) >= 0.95 * rest_values().mean()


def test_without_the_value_of_no_click_it_is_far_from_the_optimum() -> None:
    assert engagement(trained(RestWorld(), STEPS, null=False), RestWorld()) < 0.9 * rest_values().mean()


def every_level() -> dict[str, np.ndarray]:
    """An observation of a user in each level."""
    levels, kinds = np.eye(LEVELS, dtype=np.float32), np.tile(np.eye(2, dtype=np.float32), (LEVELS, 1, 1))
    return {"user": levels, "candidates": kinds, "response": np.zeros((LEVELS, 1, 1), np.float32)}


def error_of_values(agent: SlateQ) -> float:
    """How far the best slate's value is from that of value iteration in the worst level, as a share of it."""
    with torch.inference_mode():
        offer = agent.offer(every_level())
        found = agent.network.value(offer, agent.network.best(offer, 1)).numpy() * agent.reward_scale
    return float(np.abs(found / rest_values() - 1.0).max())


def test_the_values_of_outcomes_are_those_of_value_iteration() -> None:
    assert error_of_values(trained(RestWorld(), STEPS)) < 0.15


def test_targets_from_the_wrong_state_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the target network sees the state before the slate."""
    offer = Training._offer

    def wrong(self: Training, batch: dict[str, torch.Tensor], prefix: str) -> Offer:
        return offer(self, batch, prefix)._replace(users=batch["users"])

    monkeypatch.setattr(Training, "_offer", wrong)
    assert error_of_values(trained(RestWorld(), STEPS)) > 0.15


def test_the_choice_model_is_learnt() -> None:
    """Chances of a click on a snack and on a meal, whatever the level."""
    agent = trained(RestWorld(), STEPS)
    assert isinstance(agent.network, ChoiceValues)
    with torch.inference_mode():
        learnt = torch.sigmoid(agent.network._logits(agent.offer(every_level()))).numpy()
    assert np.abs(learnt - CLICKED).max() < 0.1


@pytest.mark.parametrize("optimise", ["top_k", "greedy", "exact"])
@pytest.mark.parametrize("target", ["q", "sarsa"])
def test_every_way_of_optimising_and_every_target_learns(optimise: str, target: str) -> None:
    agent = trained(RestWorld(), STEPS, optimise=optimise, target=target)
    assert engagement(agent, RestWorld()) >= 0.9 * rest_values().mean()


def test_given_choices_are_used_and_refused_where_there_are_none() -> None:
    spec = WorldSpec.of(RecVectorEnv(RestWorld(), 1))
    with pytest.raises(AgentError, match="tells no choice model"):
        SlateQ(SlateQ.Config(choice="given"), spec)
    world = InterestEvolution(num_candidates=10, slate_size=3)
    envs = RecVectorEnv(world, 8, Options(totals=True))
    agent = SlateQ(SlateQ.Config(choice="given", users=8), WorldSpec.of(envs))
    seen, _ = envs.reset(seed=0)
    logits = agent.offer(seen).logits
    assert logits is not None and np.allclose(logits.numpy(), world.choice_logits(seen), atol=1e-5)


def test_settings_of_the_other_kind_of_clicks_are_refused() -> None:
    spec = WorldSpec.of(RecVectorEnv(RestWorld(), 1))
    for settings, name in (({"context": False}, "context"), ({"clicks": "independent", "null": False}, "null")):
        with pytest.raises(InvalidParameter, match=f"{name} is for clicks="):
            SlateQ(SlateQ.Config(**settings), spec)


def test_clicks_that_are_not_what_is_assumed_are_refused() -> None:
    def play(clicked: np.ndarray, rewards: np.ndarray) -> list[Any]:
        return [SimpleNamespace(info={"clicked": clicked}, rewards=rewards)]

    rng = np.random.default_rng(0)
    single, several = np.eye(3)[rng.integers(3, size=900)], (rng.random((900, 3)) < 0.4).astype(float)
    check_clicks(Clicks.SINGLE, play(single, rng.random(900)))
    check_clicks(Clicks.INDEPENDENT, play(several, several.sum(axis=1)))
    with pytest.raises(AgentError, match="try clicks=independent"):
        check_clicks(Clicks.SINGLE, play(several, several.sum(axis=1)))
    with pytest.raises(AgentError, match="without a click brought rewards"):
        check_clicks(Clicks.SINGLE, play(single * (rng.random((900, 1)) < 0.5), rng.random(900)))
    with pytest.raises(AgentError, match="use clicks=single"):
        check_clicks(Clicks.INDEPENDENT, play(single, rng.random(900)))


def test_a_plain_sum_over_clicks_is_wrong_where_two_do_more_than_each() -> None:
    """Its error in the value of two sweets, and that of a sum in which worth depends on what is above."""
    kinds, errors = np.eye(2, dtype=np.float32)[[0, 0, 1]][None], {}
    for context in (False, True):
        agent = trained(PairWorld(), STEPS, clicks="independent", context=context)
        seen = {"user": np.zeros((1, 1), np.float32), "candidates": kinds, "response": np.zeros((1, 2, 1), np.float32)}
        with torch.inference_mode():
            offer = agent.offer(seen)
            values = [agent.network.value(offer, torch.tensor([slate])).item() for slate in ([0, 1], [0, 2])]
        errors[context] = np.abs(np.array(values) * agent.reward_scale / pair_values() - 1.0)
        assert sorted(agent.act(seen, np.random.default_rng(0))[0])[-1] == 2  # the meal is in the slate
    assert errors[True].max() < 0.1
    assert errors[False].max() > 0.3
