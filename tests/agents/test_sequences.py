"""What the sequence models share: padding, the softmax over all items and over those that stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import sequences
from agents.fitting import Batch, Fit
from agents.impressions import Impressions, ratings_spec
from agents.lstm import LSTM, LSTMConfig
from agents.sasrec import SASRec, SASRecConfig
from agents.sequences import SequenceRecommender
from recsim_env.agent import NoLog
from recsim_env.errors import AgentError
from tests.agents.sessions import ITEMS, SEEN, sessions, spec

KINDS = {"lstm": (LSTM, LSTMConfig), "sasrec": (SASRec, SASRecConfig)}
RING, SEEN_OF_RING = 30, 5


def made(name: str, knows: Any, **settings: Any) -> SequenceRecommender:
    kind, config = KINDS[name]
    return kind(config(width=16, **settings), knows)


def ring(people: int = 200) -> Impressions:
    """Ratings of items that stand in a ring, one after the other from anywhere; early ones of it come more often."""
    rng = np.random.default_rng(0)
    first = rng.choice(RING, size=people, p=np.arange(RING, 0, -1) / (RING * (RING + 1) / 2))
    items = (first[:, None] + np.arange(SEEN_OF_RING + 1)) % RING
    return Impressions.of_ratings(np.repeat(np.arange(people), SEEN_OF_RING + 1), items.ravel())


def ready(agent: SequenceRecommender, log: Impressions) -> SequenceRecommender:
    """It knows the log's items, and has its first weights."""
    fit = Fit(agent, log, "user", agent.index.size, agent.index.steps, np.random.default_rng(0), NoLog())
    agent.before_fit(fit, True)
    return agent


def difference_by_padding(name: str, ids: bool) -> float:
    """How much a short history's scores change where it stands behind padding, or the padding changes."""
    log = sessions(50, ids)
    agent, rows = ready(made(name, spec(50, ids)), log), np.flatnonzero(log.step == 3)
    items = np.tile(np.arange(ITEMS), (len(rows), 1))
    looks = np.zeros((*items.shape, 0), np.float32) if ids else np.eye(ITEMS, dtype=np.float32)[items]
    alone, padded = (agent.score(log.context(rows, steps), items, looks) for steps in (3, SEEN))
    assert np.ptp(alone, axis=0).max() > 1e-3  # users differ
    return float(np.abs(alone - padded).max())


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("name", list(KINDS))
def test_padding_changes_nothing(name: str, ids: bool) -> None:
    assert difference_by_padding(name, ids) < 1e-5


@pytest.mark.parametrize("name", list(KINDS))
def test_padding_that_is_read_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: padding stays in front, as if it had been steps."""
    monkeypatch.setattr(sequences, "in_front", lambda absent: np.tile(np.arange(absent.shape[1]), (len(absent), 1)))
    assert difference_by_padding(name, True) > 1e-3


def loss_of(sampled: int) -> float:
    log = ring()
    agent = ready(made("lstm", ratings_spec(np.ones((RING, 1)), 200, 1, SEEN_OF_RING), sampled=sampled), log)
    for value in agent.network.vectors.parameters():
        value.data.mul_(3.0)  # so that chances differ
    batch = Batch(log, log.windows(agent.window), np.random.default_rng(1), 0, np.zeros(0, int))
    return float(agent.loss(batch).detach())


def test_drawn_items_stand_for_all() -> None:
    assert loss_of(sampled=20_000) == pytest.approx(loss_of(sampled=0), rel=0.01)
    assert abs(loss_of(sampled=0) - np.log(RING)) > 0.1


def test_drawn_items_that_are_not_corrected_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: items that are drawn often count as often."""
    drawn = SequenceRecommender.drawn
    monkeypatch.setattr(SequenceRecommender, "drawn", lambda self, rng: (drawn(self, rng)[0], drawn(self, rng)[1] * 0))
    assert loss_of(sampled=20_000) != pytest.approx(loss_of(sampled=0), rel=0.01)


@pytest.mark.parametrize(("name", "sampled"), [("lstm", 0), ("lstm", 10), ("sasrec", 10)])
def test_ratings_tell_what_comes_next_of_all_items(name: str, sampled: int) -> None:
    settings = {"history": SEEN_OF_RING, "learning_rate": 0.01, "batch": 16, "unknown_id": 0.0, "dropout": 0.0}
    agent = made(name, ratings_spec(np.ones((RING, 1)), 200, 1, SEEN_OF_RING), sampled=sampled, **settings)
    agent.fit(ring(), NoLog())
    history = (np.arange(RING)[:, None] + np.arange(-SEEN_OF_RING, 0)) % RING
    history[:, :2] = -1
    scores = agent.scores({
        "user_id": np.zeros((RING, 1), np.float32),
        "candidate_ids": np.tile(np.arange(RING, dtype=np.float32), (RING, 1)),
        "history_ids": history[..., None].astype(np.float32),
    })  # fmt: skip
    assert (scores.argmax(axis=1) == np.arange(RING)).mean() > 0.95


@pytest.mark.parametrize("name", list(KINDS))
def test_a_world_without_history_is_refused(name: str) -> None:
    with pytest.raises(AgentError, match=r"reads the session's history.* make it with history=20"):
        made(name, ratings_spec(np.ones((RING, 1)), 10, 1, 0))
