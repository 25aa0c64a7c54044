"""What is told of each estimated parameter: its value, how sure it is, and what the log does not tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsim_env.fitting.choice import Weights
from recsim_env.fitting.search import Axis, Found
from recsim_env.scenario import Scenario

NORMAL_95 = 1.959964
NOT_TOLD = 0.25  # of the searched range: with a larger standard error a log does not tell the parameter
EXCLUDED = 3.84  # chi-squares above the best from which on a whole number is excluded, at 5 %


@dataclass(frozen=True)
class Estimate:
    """One parameter.

    Attributes:
        name, how: "choices" (maximum likelihood) or "moments" (simulated).
        given: as the scenario had it, where the search began.
        value: the estimate.
        error: its standard error; 0 for whole numbers, infinite where the log does not tell.
        low, high: the 95 % interval; of a whole number the values that are not excluded.
        note: what is to be known about it, or "".
    """

    name: str
    how: str
    given: float
    value: float
    error: float
    low: float
    high: float
    note: str = ""


def choice_estimates(scenario: Scenario, chosen: Sequence[str], weights: Weights) -> list[Estimate]:
    fields = {f.name: f.metadata for f in dataclasses.fields(scenario)}
    return [
        interval(
            Estimate(name, "choices", float(getattr(scenario, name)), float(value), error, 0.0, 0.0),
            fields[name]["low"], fields[name]["high"], "" if told else "the log does not tell it",
        )
        for name, value, error, told in zip(
            chosen, weights.values, np.where(weights.told, np.sqrt(np.diag(weights.covariance)), np.inf).tolist(),
            weights.told, strict=True,
        )
    ]  # fmt: skip


def interval(estimate: Estimate, lowest: float, highest: float, note: str) -> Estimate:
    """The estimate with its interval, inside the parameter's range."""
    reach = NORMAL_95 * estimate.error
    low, high = max(lowest, estimate.value - reach), min(highest, estimate.value + reach)
    if not note and estimate.value in (lowest, highest):
        note = "at the end of its range"
    return dataclasses.replace(estimate, low=low, high=high, note=note)


def moment_estimates(scenario: Scenario, axes: Sequence[Axis], found: Found) -> list[Estimate]:
    assert found.covariance is not None
    return [moment_estimate(scenario, axis, k, found) for k, axis in enumerate(axes)]


def moment_estimate(scenario: Scenario, axis: Axis, k: int, found: Found) -> Estimate:
    z, given = float(found.z[k]), float(getattr(scenario, axis.name))
    value, spread = axis.value(z), float(np.sqrt(found.covariance[k, k]))  # type: ignore[index]
    if axis.whole:
        tried = (found.profile or {}).get(axis.name, {})
        open_ = [v for v, distance in tried.items() if distance <= min(tried.values()) + EXCLUDED]
        note = f"not told apart: {', '.join(map(str, open_))}" if len(open_) > 1 else ""
        return Estimate(axis.name, "moments", given, value, 0.0, min(open_), max(open_), note)
    flat = found.flat is not None and bool(found.flat[k])
    note = "the log does not tell it" if flat or spread > NOT_TOLD else ""
    if not note and not 0.001 < z < 0.999:
        note = "at the end of the searched range"
    error = float("inf") if flat else spread * axis.slope(z)
    return interval(Estimate(axis.name, "moments", given, value, error, 0.0, 0.0), axis.low, axis.high, note)


def value_covariance(axes: Sequence[Axis], found: Found) -> np.ndarray:
    """From places on the axes to values."""
    slopes = np.array([axis.slope(float(z)) for axis, z in zip(axes, found.z, strict=True)])
    covariance: np.ndarray = found.covariance * np.outer(slopes, slopes)
    return covariance
