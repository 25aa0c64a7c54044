"""Diversity, entropy and spread, by hand and in a world whose every slate is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agents.random_slates import RandomSlates
from benchmark.evaluation import evaluate
from benchmark.run import training_envs
from benchmark.variety import differing, entropy, spread
from recsim_env.agent import AgentConfig, WorldSpec
from recsim_env.env import Observation
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.streams import Purpose


def test_entropy_is_in_bits() -> None:
    found = entropy(np.array([[1.0, 1.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 2.0]]))
    assert found == pytest.approx([1.0, 0.0, np.nan, 1.5], nan_ok=True)
    assert np.isnan(entropy(np.array([[3.0]]))).all()


def test_differing_is_one_less_the_mean_cosine() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (vectors @ vectors.T)[np.triu_indices(6, 1)]
    assert differing(vectors.sum(axis=0)[None], np.array([6.0])) == pytest.approx([1.0 - cosines.mean()])


def test_spread_by_hand() -> None:
    items = pd.DataFrame({"shown": [8, 8, 0, 0], "users": [4, 1, 0, 0], "clicks": [0, 0, 0, 0]})
    assert spread(items, 4) == {"coverage": 0.5, "gini": 0.5, "novelty": 1.0}
    assert spread(items * 0, 4) == {}


class SameTopic(RandomSlates):
    """Shows the first candidate in each place that the world has."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return np.tile(np.arange(self.spec.slate_size), (len(observation["response"]), 1))


def played(kind: type[RandomSlates], world: Scenario) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    agent = kind(AgentConfig(), WorldSpec.of(training_envs(kind, AgentConfig(), world, 0, 1)))
    found = evaluate(agent, world, users=60, seed=0, purpose=Purpose.TEST)
    return found.table, found.items, found.summary


def test_counts_add_up() -> None:
    """interest_evolution: kinds are its 20 topics; every slate has 3 items, of which one at most is clicked."""
    table, items, summary = played(RandomSlates, find_world("interest_evolution").make())
    assert len(items) == 20 and summary["coverage"] == 1.0
    assert items["shown"].sum() == 3 * table["length"].sum()
    assert items["clicks"].sum() == table["clicks"].sum()
    assert items["users"].max() <= 60
    assert 2.0 < table["entropy"].mean() < np.log2(20)
    assert table["slate_diversity"].between(0, 1).all()


def test_items_with_ids_are_counted_by_id() -> None:
    """boredom shows the same ten of its 1,000 items to everybody."""
    table, items, summary = played(SameTopic, find_world("boredom:slate").make())
    assert len(items) == 1000 and summary["coverage"] == pytest.approx(0.01)
    assert (items["shown"].iloc[:10] == table["length"].sum()).all() and items["shown"].iloc[10:].sum() == 0
    assert summary["novelty"] == 0.0 and summary["gini"] == pytest.approx(0.99)
    assert table["slate_diversity"].nunique() == 1


def test_of_one_feature_kinds_are_tenths_of_its_range() -> None:
    table, items, _ = played(RandomSlates, find_world("long_term_satisfaction:hard").make())
    assert len(items) == 10 and (items["shown"] > 0).all()
    assert table["slate_diversity"].isna().all() and table["entropy"].notna().all()
