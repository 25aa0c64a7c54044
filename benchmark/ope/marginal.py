"""Marginalised importance sampling: how often the target meets each kind of state, from ratios of single steps.

Weights of whole sessions grow with their length; these do not. The price is that states of a kind must be alike.

Xie, Ma and Wang (2019), Towards optimal off-policy evaluation for reinforcement learning with marginalized importance
sampling, arXiv:1906.03393.
"""

from __future__ import annotations

import numpy as np

from benchmark.ope.estimators import Estimate, effective_size

DRAWS = 40  # of the bootstrap over sessions, whose deviation is the standard error
NORMAL = 1.96  # standard errors of a 95 % interval


def marginalised(ratios: np.ndarray, rewards: np.ndarray, kinds: np.ndarray, rng: np.random.Generator) -> Estimate:
    """The return by kinds of states; its interval is a bootstrap over sessions.

    Args:
        ratios, rewards: (N, H), behind a session's end 1 and 0.
        kinds: (N, H) whole numbers from 0 on, behind a session's end -1.
        rng: of the bootstrap.

    The sample size is the smallest, over steps, that the single ratios are worth.
    """
    n = len(ratios)
    value = by_kinds(ratios, rewards, kinds, np.ones(n))
    drawn = [by_kinds(ratios, rewards, kinds, np.bincount(rng.integers(n, size=n), minlength=n)) for _ in range(DRAWS)]
    half = NORMAL * float(np.std(drawn, ddof=1))
    sizes = [effective_size(ratios[alive, t]) for t, alive in enumerate((kinds >= 0).T) if alive.any()]
    return Estimate(value, value - half, value + half, min(sizes))


def by_kinds(ratios: np.ndarray, rewards: np.ndarray, kinds: np.ndarray, counts: np.ndarray) -> float:
    """The return, with each session counted so often (N,).

    From step to step, the sessions of a kind share the weight that the target brings there, in proportion to their
    single ratios, and carry it to the kind that they meet next.
    """
    many, value = int(kinds.max()) + 1, 0.0
    first = kinds[:, 0]
    mass = np.bincount(first, counts, many) / counts.sum()  # of each kind, under the target
    for t in range(kinds.shape[1]):
        alive = kinds[:, t] >= 0
        here, weight = kinds[alive, t], counts[alive] * ratios[alive, t]
        # Shares of a kind's sessions: of the logged ones for what leaves the kind, so that ratios need not sum to one.
        logged = np.bincount(here, counts[alive], many)
        share = mass[here] * weight / np.maximum(logged[here], 1e-300)
        value += float(share @ rewards[alive, t])
        if t + 1 < kinds.shape[1]:
            after = kinds[alive, t + 1]
            mass = np.bincount(after[after >= 0], share[after >= 0], many)
    return value
