"""The offline test: how high agents rank what people really rated next, among all films that they had not rated."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from agents.impressions import Impressions, ratings_spec
from benchmark.offline.settings import PRESETS
from benchmark.offline.split import Fold, TimedRatings
from recsim_env.agent import Log, NoLog, agent_class, split_label
from recsim_env.errors import AgentError
from recsim_env.parameters import build

BLOCK = 200_000  # scores at once
SLATE = 10


class Fits(Protocol):
    """An agent that learns from a log alone."""

    def fit(self, impressions: Impressions, log: Log) -> None:
        """Learn."""

    def scores(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(n, C)."""


def settings_of(label: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """An agent's settings: the preset's, those of the label, and `settings`, the later over the earlier."""
    name, own = split_label(label)
    return {"seed": seed, **PRESETS.get(name, {}), **own, **settings}


def make_agent(label: str, settings: dict[str, Any], ratings: TimedRatings) -> tuple[Fits, int]:
    """The agent, unfitted, and how many past ratings it sees.

    Raises:
        AgentError: it does not learn from a log alone, or needs to see what ratings do not hold.
        UnknownName, InvalidParameter: no such agent, or setting.
    """
    kind = agent_class(label)
    if not (hasattr(kind, "fit") and hasattr(kind, "scores")):
        raise AgentError(f"{label} has no fit(impressions, log) and scores(observation), so ratings cannot teach it")
    config = build(kind.Config, settings, f"agent {label}")
    wanted = {name: value for name, value in kind.options(config).items() if value and value != "partial"}
    history = wanted.pop("history", 0)
    if wanted:
        raise AgentError(f"{label} needs to see {', '.join(wanted)}, which ratings do not hold")
    return kind(config, ratings_spec(ratings.catalogue, ratings.people, SLATE, history)), history  # type: ignore[return-value]


def judge(label: str, settings: dict[str, Any], fold: Fold, log: Log | None = None) -> pd.DataFrame:
    """Fit an agent to a fold and rank; a row a rating that was asked for: user, film, rank, known.

    Args:
        label: an agent's name, with settings where it has some (`dqn@gamma=0`).
        settings: over the presets; `seed` is the agent's.
        fold: of `folds`.
        log: takes the curves of the fit.
    """
    agent, history = make_agent(label, settings, fold.ratings)
    training = fold.training()
    agent.fit(training, log or NoLog())
    user, film = fold.ratings.user[fold.asked], fold.ratings.film[fold.asked]
    known = np.isin(user, training.user)
    return pd.DataFrame({"user": user, "film": film, "rank": ranks(agent, fold, history, label), "known": known})


def ranks(agent: Fits, fold: Fold, history: int, name: str = "the agent") -> np.ndarray:
    """(n,) the place, from 1, of each film that is asked for, among it and all that its user had not rated before.

    Films of equal score share their places by lot, the same lot for all agents.

    Raises:
        AgentError: scores are not finite numbers of the right shape.
    """
    films = len(fold.ratings.catalogue)
    luck = np.random.default_rng([fold.seed, 1]).random(len(fold.asked))
    found = np.empty(len(fold.asked), np.int64)
    step = max(1, BLOCK // films)
    for start in range(0, len(fold.asked), step):
        rows, block = fold.asked[start : start + step], slice(start, start + step)
        scores = np.array(agent.scores(observation(fold, rows, history)), np.float64)
        if scores.shape != (len(rows), films) or not np.isfinite(scores).all():
            raise AgentError(f"{name} must give finite scores of shape {(len(rows), films)}, not {scores.shape}")
        found[block] = places(scores, fold, rows, luck[block])
    return found


def observation(fold: Fold, rows: np.ndarray, history: int) -> dict[str, np.ndarray]:
    """What is seen before rows (n,): who it is, all films as candidates, and the last so many ratings."""
    films = len(fold.ratings.catalogue)
    seen = {
        "user_id": fold.ratings.user[rows, None].astype(np.float32),
        "candidate_ids": np.tile(np.arange(films, dtype=np.float32), (len(rows), 1)),
    }
    if history:
        seen["history_ids"] = fold.log.shown(fold.log.before(rows, history)).items.astype(np.float32)
    return seen


def places(scores: np.ndarray, fold: Fold, rows: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """(n,) the places of the films of rows (n,), given scores (n, N) and who wins ties, luck in [0, 1)."""
    past = fold.log.before(rows, int(fold.log.step[rows].max()))
    owners, steps = np.nonzero(past >= 0)
    scores[owners, fold.ratings.film[past[owners, steps]]] = -np.inf
    own = scores[np.arange(len(rows)), fold.ratings.film[rows]][:, None]
    higher, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)  # its own score is among the equal
    return 1 + higher + np.floor(luck * equal).astype(np.int64)
