"""The posterior-predictive check: do sessions simulated under the estimates look like logged ones?

(Gelman, Meng and Stern, 1996.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from recsim_env.fitting.kernel import ALIKE, COUNTS, WINDOWS
from recsim_env.fitting.moments import Recipe, names

LIKENESS = ("least", "less", "middling", "more", "most")
PARTS = 5  # of the places, at most
UNFITTED = ("dry", "no click", "clicks on the favourite group")  # columns that no fit uses, so that a check can
Statistic = Callable[[np.ndarray], float]  # means (K,) -> a number


@dataclass(frozen=True)
class Line:
    """One statistic of the check.

    Attributes:
        name: what it is.
        observed: in the log's held-out sessions.
        predicted, low, high: mean and 95 % interval over simulated logs of as many sessions.
        z: how many predictive standard deviations the observed value lies above the mean.
        reproduced: whether that is no more than chance, at 5 % over all lines together.
    """

    name: str
    observed: float
    predicted: float
    low: float
    high: float
    z: float
    reproduced: bool


def statistics_of(recipe: Recipe) -> dict[str, Statistic]:
    """What is compared, by name, as functions of the mean sums of sessions."""
    at, place = recipe.columns, {name: k for k, name in enumerate(names(recipe))}
    told: dict[str, Statistic] = {
        "session length": lambda m: m[at.length],
        "session length, sd": lambda m: spread(m[at.length], m[place["length squared"]]),
        "clicks a session": lambda m: m[at.clicks],
        "clicks a session, sd": lambda m: spread(m[at.clicks], m[place["clicks squared"]]),
        "sessions without a click": lambda m: m[place["no click"]],
        "longest run of steps without a click": lambda m: m[at.dry],
        "clicks on the session's favourite group": lambda m: m[place["clicks on the favourite group"]] / m[at.clicks],
        "clicks of a step times those of the next": lambda m: m[at.lag] / m[at.length],
    }
    places = int(recipe.place_bin[-1]) + 1
    for part in np.array_split(np.arange(places), min(PARTS, places)):
        shown = float(np.isin(recipe.place_bin, part).sum())
        label = place_label(recipe, part)
        told[f"click rate, {label}"] = lambda m, p=part, n=shown: m[at.place_clicks + p].sum() / m[at.length] / n  # type: ignore[misc]
    told |= by_steps(recipe) | by_repeats(recipe) | by_likeness(recipe)
    for c, name in enumerate(recipe.lens.names):
        told[f"{name} of what was clicked"] = lambda m, c=c: m[at.values + 3 * c + 1] / m[at.clicks]  # type: ignore[misc]
    return told


def spread(mean: float, square: float) -> float:
    return float(np.sqrt(max(0.0, square - mean**2)))


def place_label(recipe: Recipe, part: np.ndarray) -> str:
    places = np.flatnonzero(np.isin(recipe.place_bin, part)) + 1
    return f"place {places[0]}" if len(places) == 1 else f"places {places[0]} to {places[-1]}"


def by_steps(recipe: Recipe) -> dict[str, Statistic]:
    """Clicks a step, over the session's course."""
    at, edges = recipe.columns, [0, *recipe.step_edges.tolist()]
    told: dict[str, Statistic] = {}
    for part in np.array_split(np.arange(len(edges)), min(4, len(edges))):
        label = f"clicks a step from step {edges[part[0]] + 1}"
        told[label] = lambda m, p=part: m[at.step_clicks + p].sum() / m[at.step_count + p].sum()  # type: ignore[misc]
    return told


def by_repeats(recipe: Recipe) -> dict[str, Statistic]:
    """Repeat consumption: how likely an item is clicked, by how often its group was of late."""
    at, told = recipe.columns, {}
    offset, window = (len(WINDOWS) - 1) * COUNTS, WINDOWS[-1]
    for k, label in enumerate(("0 times", "once", "twice", "3 times or more")):
        part = offset + (np.arange(k, COUNTS) if k == 3 else np.array([k]))
        name = f"click rate, group clicked {label} in {window} steps"
        told[name] = lambda m, p=part: m[at.own_clicks + p].sum() / m[at.own_shown + p].sum()
    return told  # type: ignore[return-value]


def by_likeness(recipe: Recipe) -> dict[str, Statistic]:
    """How likely an item is clicked, by its likeness to what the session clicked before."""
    at, told = recipe.columns, {}
    for k in range(ALIKE if recipe.lens.features else 1):
        label = f"{LIKENESS[k - 1]} like earlier clicks" if k else "nothing clicked before"
        told[f"click rate, {label}"] = lambda m, k=k: m[at.alike_clicks + k] / m[at.alike_shown + k]
    return told  # type: ignore[return-value]


def compare(recipe: Recipe, observed: np.ndarray, simulated: Sequence[np.ndarray]) -> list[Line]:
    """Hold the means of held-out sessions (K,) against those of simulated logs of as many, each (K,).

    A statistic that no session of the log has a value of, or too few simulated ones, is left out.
    """
    draws = np.stack(simulated)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = [
            (name, float(f(observed)), np.array([float(f(draw)) for draw in draws]))
            for name, f in statistics_of(recipe).items()
        ]
    rows = [row for row in rows if np.isfinite(row[1]) and np.isfinite(row[2]).all()]
    return [line_of(name, value, values, len(rows)) for name, value, values in rows]


def line_of(name: str, observed: float, values: np.ndarray, lines: int) -> Line:
    count, mean = len(values), float(values.mean())
    sd = float(values.std(ddof=1) * np.sqrt(1.0 + 1.0 / count))
    reach = float(student.ppf(0.975, count - 1)) * sd
    if sd <= 1e-12 * max(1.0, abs(mean)):
        same = bool(np.isclose(observed, mean))
        return Line(name, observed, mean, mean, mean, 0.0 if same else np.copysign(np.inf, observed - mean), same)
    z = (observed - mean) / sd
    allowed = float(student.ppf(1.0 - 0.025 / lines, count - 1))
    return Line(name, observed, mean, mean - reach, mean + reach, z, abs(z) <= allowed)
