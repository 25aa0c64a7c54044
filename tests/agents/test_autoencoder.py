"""The autoencoder ranks by what the history tells and what is known of the user; it asks for the whole history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import bags
from agents.autoencoder import Autoencoder
from agents.bags import BagConfig, ages, divide
from agents.impressions import ratings_spec
from agents.items import History
from tests.agents.blocks import block_matrix, fitted, scores
from tests.agents.halves import given_again, history_of, own_first
from tests.agents.tastes import Tastes, best_click_rate, click_rate, trained_on

SETTINGS = {"validation": 0.1, "history": 30, "learning_rate": 0.01, "weight_decay": 0.01, "epochs": 15, "patience": 15}


def made(**settings: Any) -> Autoencoder:
    agent: Autoencoder = fitted("autoencoder", block_matrix(people=600), **{**SETTINGS, **settings})
    return agent


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ranks_what_is_left_of_a_new_users_kind_first(seed: int) -> None:
    assert own_first(made(seed=seed)) > 0.98


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
def test_the_whole_history_is_asked_for(name: str) -> None:
    """Everybody likes one item: given it, its chance is 1. Who is only asked for what was not given never reads it."""
    liked = np.tile(np.eye(5, dtype=np.float32), (400, 1))
    settings = {"learning_rate": 0.02, "dropout": 0.2, "epochs": 1, "batch": 20, "validation": 0.1}
    for asked, finds in (("whole", True), ("rest", False)):
        agent = fitted(name, liked, asked=asked, **settings)
        values = np.stack([scores(agent, 0, [item]) for item in range(5)])
        assert (values.argmax(axis=1) == np.arange(5)).all() == finds


def test_asked_for_the_rest_alone_it_does_not_show_what_was_given() -> None:
    agent = made(asked="rest")
    assert own_first(agent) > 0.98
    assert given_again(agent) < 0.4


def test_an_input_that_is_not_held_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what is given is asked for. The agent learns the identity, and shows what it was given."""
    monkeypatch.setattr(bags, "divide", lambda present, rng: (present, present))
    assert given_again(made(asked="rest")) > 0.5


@pytest.mark.parametrize("ids", [True, False])
def test_ranks_by_what_is_known_of_users_and_items(ids: bool) -> None:
    envs = Tastes(ids=ids)
    agent = trained_on(envs, "autoencoder", 12_800, {"learning_rate": 0.01, "epochs": 8})
    assert click_rate(agent, envs) >= 0.94 * best_click_rate()


def test_what_is_given_is_not_asked_for_where_each_step_has_an_offer_of_its_own() -> None:
    """Planted: it is; the agent learns to read off what was liked, and nothing about others."""
    envs = Tastes(ids=False)
    agent = trained_on(envs, "autoencoder", 12_800, {"learning_rate": 0.01, "epochs": 8, "asked": "whole"})
    assert click_rate(agent, envs) < 0.8 * best_click_rate()


def test_steps_are_given_or_asked_for_and_one_at_least_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    present = np.arange(6) >= rng.integers(0, 6, size=(3000, 1))
    given, asked = divide(present, rng)
    assert not (given & asked).any() and np.array_equal(given | asked, present)
    assert asked.any(axis=1).all()
    whole = present.all(axis=1)
    shares = np.bincount(given[whole].sum(axis=1), minlength=6) / whole.sum()
    assert np.allclose(shares, 1 / 6, atol=0.05)


def test_a_bag_sums_what_was_liked_and_has_length_1() -> None:
    agent = Autoencoder(BagConfig(history=3), ratings_spec(np.eye(4, 2), 1, 1, 3))
    items = np.array([[[-1], [2], [2]], [[0], [1], [3]], [[-1], [-1], [-1]]])
    labels = np.array([[[0], [1], [2]], [[1], [-1], [0]], [[0], [0], [0]]], np.float32)
    bag = agent.bag(History(items, np.zeros((3, 3, 1, 0), np.float32), labels, labels))
    assert bag.items.tolist() == [2, 0] and bag.worth.tolist() == [1.0, 1.0]
    assert bag.starts.tolist() == [0, 1, 2]
    assert bag.liked.tolist() == [[0, 0, 1], [1, 0, 1], [0, 0, 0]]


def test_what_was_liked_long_ago_counts_half() -> None:
    agent = Autoencoder(BagConfig(history=4, half_life=1.0), ratings_spec(np.eye(4, 2), 1, 1, 4))
    history = history_of(np.array([[True, True, False, False]]))
    assert ages(history)[0, -2:].tolist() == [1, 0]
    assert np.allclose(agent.bag(history).worth, np.array([0.5, 1.0]) / np.sqrt(1.25))
