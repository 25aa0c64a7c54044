"""The method of simulated moments: parameters under which simulated sessions have the log's statistics.

(McFadden, 1989; Gourieroux, Monfort and Renault, 1993, on indirect inference.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import qmc

from recsim_env.errors import InvalidParameter
from recsim_env.fitting.target import Target

SCAN_SESSIONS, SEARCH_SESSIONS = 1000, 4000
SCAN = 6  # 2 to this power points of the space
STEP = 0.03  # of a finite difference, in shares of the range: over the roughness that clicks leave
FORBIDDEN = 1e3  # each residual where the world refuses the parameters
HOPELESS = 100.0  # chi-squares above the best at which a whole number's neighbours are tried no further
WIDE = 20  # a range whose ends differ by this factor is searched in logarithms

Simulate = Callable[[dict[str, float], int, int], np.ndarray]  # parameters, sessions, seed -> statistics (n, K)
Tell = Callable[[str, float], None]  # what is done, and the share of all that is


@dataclass(frozen=True)
class Axis:
    """A parameter's plausible range, searched from 0 to 1."""

    name: str
    low: float
    high: float
    whole: bool = False

    @property
    def logarithmic(self) -> bool:
        return not self.whole and self.low > 0 and self.high / self.low >= WIDE

    def value(self, z: float) -> float:
        if self.whole:
            return float(round(self.low + z * (self.high - self.low)))
        if self.logarithmic:
            return self.low * (self.high / self.low) ** z
        return self.low + z * (self.high - self.low)

    def place(self, value: float) -> float:
        """The inverse of `value`, inside the range."""
        value = min(self.high, max(self.low, value))
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def slope(self, z: float) -> float:
        """How the value grows with z."""
        return self.value(z) * math.log(self.high / self.low) if self.logarithmic else self.high - self.low


@dataclass(frozen=True)
class Found:
    """Where a search ended.

    Attributes:
        z: (p,) places on the axes.
        distance: the weighted squares of the differences left; about `freedom` where the world is right.
        freedom: how many differences there are, less the parameters.
        covariance: (p, p) of z; 0 for whole numbers.
        flat: (p,) whether the statistics do not change with it at all.
        profile: for each whole parameter the distance at each value that was tried.
    """

    z: np.ndarray
    distance: float
    freedom: int = 0
    covariance: np.ndarray | None = None
    flat: np.ndarray | None = None
    profile: dict[str, dict[int, float]] | None = None


class Search:
    """Looks for the parameters on `axes` whose simulated statistics come nearest to the target."""

    def __init__(self, axes: Sequence[Axis], target: Target, simulate: Simulate, seed: int, tell: Tell) -> None:
        self.axes, self.target, self.simulate, self.seed, self.tell = axes, target, simulate, seed, tell
        self.smooth = [k for k, axis in enumerate(axes) if not axis.whole]
        self.whole = [k for k, axis in enumerate(axes) if axis.whole]

    def values(self, z: np.ndarray) -> dict[str, float]:
        return {axis.name: axis.value(float(place)) for axis, place in zip(self.axes, z, strict=True)}

    def residuals(self, z: np.ndarray, sessions: int, seed: int) -> np.ndarray:
        try:
            return self.target.residuals(self.simulate(self.values(z), sessions, seed))
        except InvalidParameter:  # two parameters that do not go together
            return np.full(self.target.whiten.shape[1], FORBIDDEN)

    def distance(self, z: np.ndarray, sessions: int, seed: int) -> float:
        return float((self.residuals(z, sessions, seed) ** 2).sum())

    def scan(self, start: np.ndarray) -> list[np.ndarray]:
        """The best places among the start and some that fill the space evenly, best first."""
        sobol = qmc.Sobol(len(self.axes), rng=np.random.default_rng(self.seed)).random_base2(SCAN)
        places = [start, *sobol]
        distances = []
        for k, z in enumerate(places):
            distances.append(self.distance(z, SCAN_SESSIONS, self.seed))
            self.tell("scan of the ranges", 0.15 * (k + 1) / len(places))
        return [places[k] for k in np.argsort(distances, kind="stable")]

    def jacobian(self, z: np.ndarray, sessions: int, seed: int, centre: np.ndarray | None) -> np.ndarray:
        """(q, p) of the residuals by the smooth places: from the centre's residuals to the inside, or on both sides."""
        columns = []
        for k in self.smooth:
            up, down = z.copy(), z.copy()
            up[k] = min(1.0, z[k] + STEP) if centre is None or z[k] + STEP <= 1.0 else z[k] - STEP
            high = self.residuals(up, sessions, seed)
            if centre is None:
                down[k] = max(0.0, z[k] - STEP)
            low = self.residuals(down, sessions, seed) if centre is None else centre
            columns.append((high - low) / (up[k] - down[k]))
        return np.stack(columns, axis=1)

    def descend(self, z: np.ndarray, sessions: int, seed: int, rounds: int) -> Found:
        """Least squares over the smooth places, from z; whole numbers stay."""
        if not self.smooth:
            return Found(z, self.distance(z, sessions, seed))
        last: dict[bytes, np.ndarray] = {}

        def at(part: np.ndarray) -> np.ndarray:
            place = z.copy()
            place[self.smooth] = part
            return place

        def residuals(part: np.ndarray) -> np.ndarray:
            last.clear()
            last[part.tobytes()] = self.residuals(at(part), sessions, seed)
            return last[part.tobytes()]

        def jacobian(part: np.ndarray) -> np.ndarray:
            key = part.tobytes()
            centre = last[key] if key in last else self.residuals(at(part), sessions, seed)
            return self.jacobian(at(part), sessions, seed, centre)

        inside = np.clip(z[self.smooth], 1e-6, 1.0 - 1e-6)
        done = least_squares(residuals, inside, jacobian, bounds=(0.0, 1.0), max_nfev=rounds, xtol=1e-3, ftol=1e-4)
        return Found(at(done.x), 2.0 * float(done.cost))

    def profile(self, best: Found, sessions: int) -> tuple[Found, dict[str, dict[int, float]]]:
        """Try the values of each whole number, the others fitted to it, outward from the best one."""
        told: dict[str, dict[int, float]] = {}
        for k in self.whole:
            axis = self.axes[k]
            centre = round(axis.value(float(best.z[k])))
            tried = {centre: best}
            for step in (-1, 1):
                value, near = centre + step, best
                while axis.low <= value <= axis.high:
                    z = near.z.copy()
                    z[k] = axis.place(value)
                    near = tried[value] = self.descend(z, sessions, self.seed + 1, 6)
                    self.tell(f"{axis.name} = {value}", 0.35 + 0.2 * len(tried) / (axis.high - axis.low + 1))
                    least = min(found.distance for found in tried.values())
                    if near.distance > least + HOPELESS:
                        break
                    value += step
            best = min(tried.values(), key=lambda found: found.distance)
            told[axis.name] = {value: found.distance for value, found in sorted(tried.items())}
        return best, told

    def run(self, start: dict[str, float], sessions: int) -> Found:
        """Scan, descend from the best places with few sessions, then from the best with many."""
        given = np.array([axis.place(start[axis.name]) for axis in self.axes])
        places = self.scan(given)[:3]
        tries = []
        for k, z in enumerate(places):
            tries.append(self.descend(z, SEARCH_SESSIONS, self.seed + 1, 8))
            self.tell("descent", 0.15 + 0.2 * (k + 1) / len(places))
        best, told = self.profile(min(tries, key=lambda found: found.distance), SEARCH_SESSIONS)
        self.tell("descent with all sessions", 0.6)
        best = self.descend(best.z, sessions, self.seed + 2, 12)
        self.tell("standard errors", 0.9)
        return self.with_errors(best, sessions, told)

    def with_errors(self, best: Found, sessions: int, told: dict[str, dict[int, float]]) -> Found:
        """The sandwich covariance of the places: of weighted least squares, with the simulation's noise."""
        count = len(self.axes)
        covariance, flat = np.zeros((count, count)), np.zeros(count, bool)
        if self.smooth:
            part = self.jacobian(best.z, sessions, self.seed + 2, None)
            bread = np.linalg.pinv(part.T @ part)
            covariance[np.ix_(self.smooth, self.smooth)] = bread @ part.T @ self.target.covariance @ part @ bread
            flat[self.smooth] = np.linalg.norm(part, axis=0) == 0.0
        freedom = self.target.whiten.shape[1] - count
        return Found(best.z, best.distance, freedom, covariance, flat, told)
