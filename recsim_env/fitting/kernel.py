"""What a session adds to its statistics with each step, compiled: one pass over users, no table of the steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from recsim_env.compile_cache import compiled

WINDOWS = (1, 5)  # steps back over which clicks are counted; the third window is the session so far
COUNTS = 8  # bins of a count of clicks: 0 to 6, and 7 or more
ALIKE = 6  # bins of likeness to what was clicked: nothing clicked yet, and five from unlike to like


class Columns(NamedTuple):
    """Where each statistic's sums start in a session's row."""

    length: int  # steps
    clicks: int
    pairs: int  # of clicks in one slate
    same_pairs: int  # of clicks in one slate on one group
    lag: int  # clicks times those of the step before
    same_lag: int  # the same, group by group
    dry: int  # the longest run of steps without a click
    place_clicks: int  # (places,)
    step_clicks: int  # (bins of steps,)
    step_count: int
    own_clicks: int  # (windows, COUNTS): by how often the item's own group was clicked
    own_shown: int
    top_clicks: int  # (windows, COUNTS): by how often the group clicked most was
    top_steps: int
    alike_clicks: int  # (ALIKE,)
    alike_shown: int
    values: int  # (columns of numbers, 3): over what was shown, over what was clicked, and its square
    width: int


class Memory(NamedTuple):
    """What a session's statistics need of its past; n sessions, G groups, F features."""

    ring: np.ndarray  # (n, longest window, G) clicks of the last steps
    counts: np.ndarray  # (n, windows, G)
    liked: np.ndarray  # (n, F) sum of the clicked items' directions
    last: np.ndarray  # (n,) clicks of the step before
    dry: np.ndarray  # (n,) steps since the last click


def empty_memory(n: int, groups: int, features: int) -> Memory:
    return Memory(
        ring=np.zeros((n, max(WINDOWS), groups), np.float32),
        counts=np.zeros((n, len(WINDOWS) + 1, groups), np.float32),
        liked=np.zeros((n, features), np.float32),
        last=np.zeros(n),
        dry=np.zeros(n),
    )


@numba.njit(nogil=True)
def bin_of(edges: Any, value: float) -> int:
    """How many of the ascending edges lie at or below the value."""
    k = 0
    while k < len(edges) and value >= edges[k]:
        k += 1
    return k


@numba.njit(nogil=True)
def likeness_bin(liked: Any, i: int, unit: Any, r: int, place: int, edges: Any) -> int:
    """The bin of the cosine between an item's direction and the sum of the clicked ones."""
    product, size = 0.0, 0.0
    for k in range(liked.shape[1]):
        product += liked[i, k] * unit[r, place, k]
        size += liked[i, k] * liked[i, k]
    if size == 0.0:
        return 0
    return 1 + bin_of(edges, product / np.sqrt(size))


@numba.njit(nogil=True)
def add_before(
    sums: Any, at: Any, counts: Any, liked: Any, i: int, r: int, group: Any, unit: Any, clicked: Any, edges: Any
) -> None:
    """What the clicks say given what the session had clicked before."""
    clicks = 0.0
    for place in range(group.shape[1]):
        clicks += clicked[r, place]
        for w in range(counts.shape[1]):
            column = w * COUNTS + min(COUNTS - 1, int(counts[i, w, group[r, place]]))
            sums[i, at.own_shown + column] += 1.0
            sums[i, at.own_clicks + column] += clicked[r, place]
        column = likeness_bin(liked, i, unit, r, place, edges)
        sums[i, at.alike_shown + column] += 1.0
        sums[i, at.alike_clicks + column] += clicked[r, place]
    for w in range(counts.shape[1]):
        top = 0.0
        for g in range(counts.shape[2]):
            top = max(top, counts[i, w, g])
        column = w * COUNTS + min(COUNTS - 1, int(top))
        sums[i, at.top_steps + column] += 1.0
        sums[i, at.top_clicks + column] += clicks


@numba.njit(nogil=True)
def add_now(sums: Any, at: Any, place_bin: Any, step_bin: int, i: int, r: int, clicked: Any, values: Any) -> float:
    """What the slate says by itself; the number of its clicks."""
    clicks = 0.0
    for place in range(clicked.shape[1]):
        clicks += clicked[r, place]
        sums[i, at.place_clicks + place_bin[place]] += clicked[r, place]
        for c in range(values.shape[2]):
            value = values[r, place, c]
            sums[i, at.values + 3 * c] += value
            sums[i, at.values + 3 * c + 1] += clicked[r, place] * value
            sums[i, at.values + 3 * c + 2] += clicked[r, place] * value * value
    sums[i, at.length] += 1.0
    sums[i, at.clicks] += clicks
    sums[i, at.pairs] += 0.5 * clicks * (clicks - 1.0)
    sums[i, at.step_clicks + step_bin] += clicks
    sums[i, at.step_count + step_bin] += 1.0
    return clicks


@numba.njit(nogil=True)
def remember(sums: Any, at: Any, memory: Any, i: int, r: int, step: int, group: Any, unit: Any, clicked: Any) -> None:
    """Move the session's past one step on, and add what needs the groups of this step's clicks."""
    ring, counts, liked, _, _ = memory
    longest, groups = ring.shape[1], ring.shape[2]
    before, slot = (step - 1) % longest, step % longest
    for w in range(len(WINDOWS)):
        for g in range(groups):
            counts[i, w, g] -= ring[i, (step - WINDOWS[w]) % longest, g]
    for g in range(groups):
        ring[i, slot, g] = 0.0
    for place in range(group.shape[1]):
        if clicked[r, place] > 0.0:
            ring[i, slot, group[r, place]] += clicked[r, place]
            for k in range(liked.shape[1]):
                liked[i, k] += unit[r, place, k]
    for g in range(groups):
        now = ring[i, slot, g]
        for w in range(counts.shape[1]):
            counts[i, w, g] += now
        sums[i, at.same_pairs] += 0.5 * now * (now - 1.0)
        if step > 0:
            sums[i, at.same_lag] += now * ring[i, before, g]


@compiled
def add_step(
    sums: Any, at: Any, memory: Any, rows: Any, who: Any, low: int, high: int, step: int, step_bin: int,
    place_bin: Any, edges: Any, group: Any, unit: Any, clicked: Any, values: Any,
) -> None:  # fmt: skip
    """Add step `step` of the sessions who[low:high], which stands in the rows of the same places.

    Args:
        sums: (n, width), changed.
        memory: changed.
        group, unit, clicked, values: (m, S), (m, S, F), (m, S) and (m, S, R) of what was shown.
    """
    for j in range(low, high):
        i, r = who[j], rows[j]
        add_before(sums, at, memory.counts, memory.liked, i, r, group, unit, clicked, edges)
        clicks = add_now(sums, at, place_bin, step_bin, i, r, clicked, values)
        sums[i, at.lag] += clicks * memory.last[i]
        memory.last[i] = clicks
        memory.dry[i] = 0.0 if clicks > 0.0 else memory.dry[i] + 1.0
        sums[i, at.dry] = max(sums[i, at.dry], memory.dry[i])
        remember(sums, at, memory, i, r, step, group, unit, clicked)
