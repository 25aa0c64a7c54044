"""Choice weights by maximum likelihood: a conditional logit (McFadden, 1974).

A world that chooses by a logit and whose state is a function of what was logged says what its logits are made of.
Given that, nothing is simulated: the likelihood is exact, whatever policy chose the slates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from recsim_env.compile_cache import compiled
from recsim_env.errors import DataError
from recsim_env.fitting.sessions import Sessions
from recsim_env.logs import Interactions
from recsim_env.scenario import Scenario

NOTHING = -1  # what was chosen where there is no click
ROUNDS = 50
HALVINGS = 20
FLAT = 1e-9  # of information, scaled to a diagonal of 1: directions of less are not told by the data
FLAT_SHARE = 0.01  # of a parameter in such directions, from which on it is not told itself
ENOUGH = 1e-10  # a Newton step's gain in log likelihood, relative to it
STEP = 1e-4  # of a numerical derivative, relative to the parameter's size


@runtime_checkable
class ChoosesByLogit(Protocol):
    """A world whose users choose one item of a slate, or nothing, by a multinomial logit."""

    def choice_features(self, log: Interactions) -> Mapping[str, np.ndarray]:
        """What the logits are made of, each times the parameter of its name; they sum to the logits.

        Args:
            log: whole sessions one after another, each from step 0 on.

        Returns:
            parameter -> (T, S + 1) for T slates of S places; the last column is choosing nothing.
        """


@dataclass(frozen=True)
class Weights:
    """Estimated weights.

    Attributes:
        values: (P,).
        covariance: (P, P), robust to whatever a session's steps have in common.
        told: (P,) whether the data tell the weight at all.
        log_likelihood: of the data under them.
        information: (P, P), minus the second derivative of the log likelihood.
    """

    values: np.ndarray
    covariance: np.ndarray
    told: np.ndarray
    log_likelihood: float
    information: np.ndarray


@compiled
def logit_sums(features: Any, logits: Any, chosen: Any, owner: Any, scores: Any, information: Any) -> float:
    """Add gradients by session to `scores` (n, P), the information to (P, P), and give the log likelihood.

    `features` are (T, A, P) of A alternatives, of which the last is nothing; `logits` (T, A); `chosen` (T,) an
    alternative, or -1 for the last.
    """
    steps, alternatives, count = features.shape
    likely, mean = np.empty(alternatives), np.empty(count)
    total = 0.0
    for t in range(steps):
        pick = chosen[t] if chosen[t] >= 0 else alternatives - 1
        highest = logits[t, 0]
        for a in range(1, alternatives):
            highest = max(highest, logits[t, a])
        weight = 0.0
        for a in range(alternatives):
            likely[a] = np.exp(logits[t, a] - highest)
            weight += likely[a]
        total += logits[t, pick] - highest - np.log(weight)
        for p in range(count):
            mean[p] = 0.0
            for a in range(alternatives):
                mean[p] += likely[a] / weight * features[t, a, p]
            scores[owner[t], p] += features[t, pick, p] - mean[p]
        for a in range(alternatives):
            for p in range(count):
                for q in range(count):
                    product = (features[t, a, p] - mean[p]) * (features[t, a, q] - mean[q])
                    information[p, q] += likely[a] / weight * product
    return total


Parts = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # values -> features (T, A, P), logits (T, A)


@dataclass(frozen=True)
class Point:
    """The likelihood at some values, and Newton's step from there."""

    values: np.ndarray
    log_likelihood: float
    step: np.ndarray
    scores: np.ndarray  # (n, P)
    information: np.ndarray  # (P, P)

    @classmethod
    def of(cls, parts: Parts, values: np.ndarray, chosen: np.ndarray, owner: np.ndarray) -> Point:
        features, logits = parts(values)
        scores, information = np.zeros((int(owner.max()) + 1, len(values))), np.zeros((len(values), len(values)))
        total = logit_sums(features, logits, chosen, owner, scores, information)
        return cls(values, total, inverse_of(information)[0] @ scores.sum(axis=0), scores, information)

    def weights(self) -> Weights:
        inverse, told = inverse_of(self.information)
        covariance = inverse @ (self.scores.T @ self.scores) @ inverse
        return Weights(self.values, covariance, told, self.log_likelihood, self.information)


def inverse_of(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse on the directions that the data tell, and which parameters lie in these alone (P,)."""
    sizes = np.sqrt(np.diag(information))
    scaled = np.where(sizes > 0, sizes, 1.0)
    values, vectors = np.linalg.eigh(information / np.outer(scaled, scaled))
    told = values > FLAT
    inverse = (vectors[:, told] / values[told]) @ vectors[:, told].T / np.outer(scaled, scaled)
    return inverse, (vectors[:, ~told] ** 2).sum(axis=1) < FLAT_SHARE


def maximise(
    parts: Parts, start: np.ndarray, low: np.ndarray, high: np.ndarray, chosen: np.ndarray, owner: np.ndarray
) -> Weights:
    """Newton's method from `start` (P,), halving steps that do not gain, inside [low, high]."""
    best = Point.of(parts, np.clip(start, low, high), chosen, owner)
    for _ in range(ROUNDS):
        better = next_point(parts, best, low, high, chosen, owner)
        if better is None:
            break
        gain = better.log_likelihood - best.log_likelihood
        best = better
        if gain <= ENOUGH * abs(best.log_likelihood):
            break
    return best.weights()


def next_point(
    parts: Parts, best: Point, low: np.ndarray, high: np.ndarray, chosen: np.ndarray, owner: np.ndarray
) -> Point | None:
    """The first point on the way of Newton's step, halved again and again, that is better; None: there is none."""
    share = 1.0
    for _ in range(HALVINGS):
        values = np.clip(best.values + share * best.step, low, high)
        if np.array_equal(values, best.values):
            return None
        tried = Point.of(parts, values, chosen, owner)
        if tried.log_likelihood > best.log_likelihood:
            return tried
        share *= 0.5
    return None


def chosen_places(log: Interactions) -> np.ndarray:
    """(T,) the clicked place, or -1.

    Raises:
        DataError: a slate with several clicks.
    """
    clicked = log.responses["clicked"] > 0
    several = int((clicked.sum(axis=1) > 1).sum())
    if several:
        raise DataError(f"a slate has at most one click where users choose by a logit, but {several} have more")
    return np.where(clicked.any(axis=1), clicked.argmax(axis=1), NOTHING)


def logits_of(scenario: Scenario, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """(T, S + 1)."""
    total: np.ndarray = sum(getattr(scenario, name) * part for name, part in features.items())
    return total


def fit_choice(scenario: Scenario, sessions: Sessions, names: Sequence[str]) -> Weights:
    """The choice parameters `names` of a world, the others as the scenario has them.

    A weight's feature is what `choice_features` says. A parameter that shapes the features themselves, such as how
    fast satiation fades, gets the numerical derivative of the logits in its place: Newton's method on the likelihood.

    Raises:
        DataError: a slate with several clicks.
    """
    assert isinstance(scenario, ChoosesByLogit)
    ranges = {f.name: (f.metadata["low"], f.metadata["high"]) for f in dataclasses.fields(scenario)}
    low, high = np.array([ranges[name] for name in names], float).T
    log = sessions.log
    kept: dict[tuple[float, ...], Mapping[str, np.ndarray]] = {}

    def world(values: Mapping[str, float]) -> Any:
        return dataclasses.replace(scenario, **values)  # type: ignore[arg-type]  # the scenario's own

    def made(shape: tuple[float, ...]) -> Mapping[str, np.ndarray]:
        """The features under the parameters that shape them, the last ones kept."""
        if shape not in kept:
            kept.clear()
            kept[shape] = world(dict(zip(shaping, shape, strict=True))).choice_features(log)
        return kept[shape]

    shaping: list[str] = []
    first = made(())
    shaping = [name for name in names if name not in first]

    def parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        told = dict(zip(names, values.tolist(), strict=True))
        here = world(told)
        features = made(tuple(told[name] for name in shaping))
        columns = [features[n] if n in features else derivative(here, log, n, ranges[n]) for n in names]
        return np.stack(columns, axis=2), logits_of(here, features)

    start = np.array([float(getattr(scenario, name)) for name in names])
    return maximise(parts, start, low, high, chosen_places(log), sessions.owner)


def derivative(scenario: Any, log: Interactions, name: str, within: tuple[float, float]) -> np.ndarray:
    """(T, S + 1) of the logits by a parameter, from two points inside its range."""
    value = float(getattr(scenario, name))
    step = STEP * max(abs(value), 0.1)
    ends = [min(within[1], value + step), max(within[0], value - step)]
    up, down = (dataclasses.replace(scenario, **{name: end}) for end in ends)
    high, low = (logits_of(world, world.choice_features(log)) for world in (up, down))
    return (high - low) / (ends[0] - ends[1])
