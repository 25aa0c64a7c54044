"""Interest exploration: who comes, what is offered and how people choose, each against a planted mistake."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsim_env.errors import InvalidParameter
from recsim_env.registration import find_world, make_env, make_vector_env
from recsim_env.simulator import Options, Simulator
from recsim_env.streams import STREAM
from scenarios.interest_exploration import InterestExploration
from tests.planted import planted

World = type[InterestExploration]
Check = Callable[[World], bool]
# Two types and three topics, all numbers different, so that an index in the wrong place shows.
TYPES, TOPICS = (0.3, 0.7), (0.5, 0.2, 0.3)
AFFINITY, QUALITY = ((1.6, 0.1, -0.5), (0.2, 0.7, 1.0)), (0.2, 0.8, -0.4)
PARAMETERS = {
    "type_shares": "0.3,0.7",
    "topic_shares": "0.5, 0.2, 0.3",
    "affinity_means": "1.6,0.1,-0.5; 0.2,0.7,1.0",
    "quality_means": "0.2,0.8,-0.4",
}


class Viewer:
    """One user, and the verbs as plain Python."""

    def __init__(self, world: World, **parameters: Any) -> None:
        scenario = world(**{**PARAMETERS, **parameters})
        self.world, self.me = world, scenario.compiled_self
        self.user = np.zeros(1, scenario.user_dtype)[0]
        self.items = np.zeros(scenario.num_candidates, scenario.item_dtype)
        self.dtype = scenario.response_dtype
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(3, 0)

    def answer(self, slate: np.ndarray) -> np.ndarray:
        responses = np.zeros(len(slate), self.dtype)
        self.world.respond(self.me, self.user, self.items, slate, responses, np.zeros(len(slate)), self.rng)
        return responses


def close(shares: np.ndarray, expected: Any, n: int) -> bool:
    """Whether frequencies of n draws lie within four standard errors of what is expected."""
    error = np.sqrt(np.asarray(expected) * (1 - np.asarray(expected)) / n)
    return bool((np.abs(shares - expected) < 4 * error).all())


def clicks_follow_their_logits(world: World) -> bool:
    """Places and no click: the softmax of affinity + quality, and of 5; reported with topic and quality."""
    viewer, n = Viewer(world), 3000
    viewer.user.affinities[:] = 1.0, 4.0, 2.0
    viewer.items[3].topic, viewer.items[3].quality = 1, 0.5
    viewer.items[5].topic, viewer.items[5].quality = 2, 3.2
    clicks = np.zeros(3)
    for _ in range(n):
        responses = viewer.answer(np.array([5, 3]))
        place = int(responses["clicked"].argmax()) if responses["clicked"].any() else 2
        clicks[place] += 1
    weights = np.exp([2.0 + 3.2, 4.0 + 0.5, 5.0])
    reported = responses["topic"].tolist() == [2, 1] and responses["quality"].tolist() == [3.2, 0.5]
    return close(clicks / n, weights / weights.sum(), n) and reported


def people_are_of_their_types(world: World) -> bool:
    """Shares of types, and log affinities with the mean of type and topic and the spread 0.1."""
    viewer, n = Viewer(world), 3000
    kinds, logs = np.zeros(n, int), np.zeros((n, 3))
    for i in range(n):
        world.arrive(viewer.me, viewer.user, viewer.rng)
        kinds[i], logs[i] = viewer.user.kind, np.log(viewer.user.affinities)
    off = (logs - np.array(AFFINITY)[kinds]) / 0.1
    mean, spread = np.abs(off.mean()) < 4 / math.sqrt(3 * n), np.abs(off.std() - 1) < 4 / math.sqrt(6 * n)
    return close(np.bincount(kinds) / n, TYPES, n) and bool(mean and spread and np.abs(off).max() < 9)


def offers_are_of_their_topics(world: World) -> bool:
    """Shares of topics, and log qualities with the topic's mean and the spread 0.1, within what is observed."""
    viewer = Viewer(world, num_candidates=3000)
    n = len(viewer.items)
    world.offer(viewer.me, viewer.user, viewer.items, viewer.rng)
    topics, logs = viewer.items["topic"], np.log(viewer.items["quality"])
    off = (logs - np.array(QUALITY)[topics]) / 0.1
    mean, spread = np.abs(off.mean()) < 4 / math.sqrt(n), np.abs(off.std() - 1) < 4 / math.sqrt(2 * n)
    return close(np.bincount(topics) / n, TOPICS, n) and bool(mean and spread)


def appeal_is_what_is_clicked_by(world: World) -> bool:
    viewer = Viewer(world)
    viewer.user.affinities[:] = 1.0, 4.0, 2.0
    viewer.items[0].topic, viewer.items[0].quality = 2, 0.5
    return bool(world.appeal(viewer.me, viewer.user, viewer.items[0]) == 2.5)


CHECKS: list[Check] = [
    clicks_follow_their_logits,
    people_are_of_their_types,
    offers_are_of_their_topics,
    appeal_is_what_is_clicked_by,
]
PLANTED = [
    (clicks_follow_their_logits, "[item.topic] + item.quality", "[item.topic] - item.quality"),
    (clicks_follow_their_logits, "return user.affinities[item.topic]", "return -user.affinities[item.topic]"),
    (clicks_follow_their_logits, "multinomial_logit(scratch, self", "multinomial_logit(scratch, -self"),
    (clicks_follow_their_logits, "score(user, items[slate[place]])", "score(user, items[place])"),
    (people_are_of_their_types, "self.affinity[user.kind, topic]", "-self.affinity[user.kind, topic]"),
    (people_are_of_their_types, "self.affinity[user.kind, topic]", "self.affinity[1 - user.kind, topic]"),
    (people_are_of_their_types, "rng.categorical(self.types)", "1 - rng.categorical(self.types)"),
    (offers_are_of_their_topics, "rng.lognormal(self.quality[topic]", "rng.lognormal(-self.quality[topic]"),
    (offers_are_of_their_topics, "rng.categorical(self.topics)", "2 - rng.categorical(self.topics)"),
    (appeal_is_what_is_clicked_by, "[item.topic] + item.quality", "[item.topic] - item.quality"),
]


@pytest.mark.parametrize("holds", CHECKS)
def test_the_world_keeps_its_equations(holds: Check) -> None:
    assert holds(InterestExploration)


@pytest.mark.parametrize(("holds", "right", "wrong"), PLANTED)
def test_a_planted_mistake_is_found(holds: Check, right: str, wrong: str, tmp_path: Path) -> None:
    assert not holds(planted(InterestExploration, tmp_path, right, wrong))


def test_sessions_end_by_the_horizon_only_and_nothing_changes_the_user() -> None:
    env = make_env("interest_exploration", observe="full", jit=False)
    before, _ = env.reset(seed=0)
    for step in range(1, 61):
        observation, _, terminated, truncated, _ = env.step([0, 1])
        assert (terminated, truncated) == (False, step == 60)
        assert np.array_equal(observation["hidden_user"], before["hidden_user"])


def test_a_recommender_sees_topics_and_qualities_but_not_the_user() -> None:
    env = make_vector_env("interest_exploration", 3, jit=False)
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"candidates", "response"}
    items = env.unwrapped.simulator.state.items
    assert np.array_equal(observation["candidates"][..., :2].argmax(axis=2), items["topic"])
    assert np.allclose(observation["candidates"][..., 2], items["quality"])


def test_in_the_niche_it_pays_to_know_who_is_there() -> None:
    """Expected clicks of 500 people with an offer each: about 0.62 against 0.49 by quality."""
    scenario = find_world("interest_exploration:niche").make()
    viewer, gains = Viewer(InterestExploration, **dataclasses.asdict(scenario)), []
    for _ in range(500):
        InterestExploration.arrive(viewer.me, viewer.user, viewer.rng)
        InterestExploration.offer(viewer.me, viewer.user, viewer.items, viewer.rng)
        topics, quality = viewer.items["topic"], viewer.items["quality"]
        weights = np.exp(viewer.user.affinities[topics] + quality)
        known = quality + np.exp(scenario.numbers["affinity"][viewer.user.kind, topics])
        best, by_quality = (weights[np.argsort(-score)[:2]].sum() for score in (known, quality))
        gains.append(best / (best + math.exp(5.0)) - by_quality / (by_quality + math.exp(5.0)))
    assert abs(np.mean(gains) - 0.134) < 4 * np.std(gains) / math.sqrt(500)


def test_the_texts_say_how_many_types_and_topics_there_are() -> None:
    scenario = find_world("interest_exploration").make(
        type_shares="3", topic_shares="1, 1, 0", affinity_means="0,0,0", quality_means="0,0,0", num_candidates=200
    )
    assert scenario.user_dtype["affinities"].shape == (3,)
    simulator = Simulator(scenario, 2, Options(jit=False), autoreset=True)
    simulator.reset(0)
    assert set(simulator.state.items["topic"].ravel().tolist()) == {0, 1}  # the share of the third is 0
    assert set(simulator.state.users["kind"].tolist()) == {0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"affinity_means": "0.1,0.7;0.7"}, "affinity_means must be numbers .* rows of one length"),
        ({"affinity_means": "0.1,0.7"}, "affinity_means must be 2 x 2 numbers: .* not 1 x 2 in '0.1,0.7'"),
        ({"quality_means": "0.8,0.2,0.1"}, "quality_means must be 1 x 2 numbers: .* not 1 x 3"),
        ({"quality_means": "0.8,good"}, "quality_means must be numbers .* not '0.8,good'"),
        ({"quality_means": "0.8,nan"}, "quality_means must be numbers"),
        ({"quality_means": "0.8,100"}, r"quality_means must hold numbers in \[-10, 10\], not '0.8,100'"),
        ({"type_shares": ""}, "type_shares must be numbers"),
        ({"type_shares": "0.3,-0.7"}, "type_shares must be one row of shares"),
        ({"topic_shares": "0,0"}, "topic_shares must be one row of shares"),
        ({"topic_shares": "0.5;0.5"}, "topic_shares must be one row of shares"),
        ({"topic_shares": "0.2,0.3,0.5"}, "affinity_means must be 2 x 3 numbers"),
    ],
)
def test_a_wrong_text_is_refused_where_it_is_given(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidParameter, match=f"InterestExploration.{said}"):
        InterestExploration(**wrong)
