"""How well logged steps are ranked: what early stopping watches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.impressions import Context, Impressions

ROWS = 5_000  # held-out steps that are ranked
PAIRS = 4_000_000  # scores in all, where everything is on offer
BLOCK = 200_000  # scores at once
DEPTH = 100

Score = Callable[[Context, np.ndarray, np.ndarray], np.ndarray]  # items (n, k), features (n, k, F) to (n, k)


def discounted_gain(scores: np.ndarray, gains: np.ndarray) -> tuple[float, float]:
    """The discounted cumulative gain of scores (n, k), and that of the best order; ties go to the later column.

    Only the first 100 places count (Jarvelin and Kekalainen, 2002, with the gain itself, not 2^gain).
    """
    owners, columns = np.nonzero(gains)
    values, mine, rivals = gains[owners, columns], scores[owners, columns][:, None], scores[owners]
    later = np.arange(scores.shape[1]) > columns[:, None]
    ranks = ((rivals > mine) | ((rivals == mine) & later)).sum(axis=1)
    found = values[ranks < DEPTH] / np.log2(2.0 + ranks[ranks < DEPTH])
    order = np.lexsort((-values, owners))
    within = np.arange(len(order)) - np.searchsorted(owners, owners)  # owners come in order
    best = values[order][within < DEPTH] / np.log2(2.0 + within[within < DEPTH])
    return float(found.sum()), float(best.sum())


def rows_to_rank(log: Impressions, held: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Held-out rows (T,) bool that have a positive label, a sample: those of random slates where there are any.

    Slates that a policy chose would favour models that agree with it.
    """
    able = held & (log.labels > 0).any(axis=1)
    if (able & log.explored).any():
        able &= log.explored
    rows = np.flatnonzero(able)
    most = ROWS if log.offered.shape[1] else min(ROWS, max(1, PAIRS // size))
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def ndcg(score: Score, log: Impressions, rows: np.ndarray, size: int, history: int) -> float:
    """Normalised discounted cumulative gain over rows: their labels among what was on offer; 0 without rows.

    Where everything is on offer, among all items but those that the session showed before. Rows weigh as much as
    their labels: it is the sum of the gains over the best sum.
    """
    found, best = 0.0, 1e-12
    offered = log.offered.shape[1]
    width = offered + log.items.shape[1] if offered else size
    step = max(1, BLOCK // width)
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        items, features, gains = among_offered(log, block) if offered else among_all(log, block, size)
        scores = np.where(items < 0, -np.inf, score(log.context(block, history), np.maximum(items, 0), features))
        part = discounted_gain(scores, gains)
        found, best = found + part[0], best + part[1]
    return found / best


def among_offered(log: Impressions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items (n, k), -1 for none, their features, and gains: what was shown comes first, then what else was offered."""
    items = np.concatenate([log.items[rows], log.offered[rows].astype(np.int64)], axis=1)
    features = np.concatenate([log.features[rows], log.offered_features[rows]], axis=1)
    gains = np.zeros(items.shape, np.float32)
    gains[:, : log.items.shape[1]] = np.maximum(log.labels[rows], 0.0)
    return items, features, gains


def among_all(log: Impressions, rows: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same over all items; -1 for those that the session showed before and does not show now."""
    items = np.tile(np.arange(size), (len(rows), 1))
    past = log.before(rows, int(log.step[rows].max()))
    owners, steps = np.nonzero(past >= 0)
    seen = log.items[past[owners, steps]]
    items[np.repeat(owners, seen.shape[1]), seen.ravel()] = -1
    shown = log.items[rows]
    np.put_along_axis(items, shown, shown, axis=1)
    gains = np.zeros(items.shape, np.float32)
    np.put_along_axis(gains, shown, np.maximum(log.labels[rows], 0.0), axis=1)
    return items, np.zeros((*items.shape, 0), np.float32), gains
