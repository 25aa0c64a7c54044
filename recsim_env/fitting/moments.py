"""Statistics of sessions: sums that each session adds up by itself, their means, and what is told of them.

A session is one independent draw, so the means' covariance is that of the sessions' rows over their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from recsim_env.fitting.kernel import ALIKE, COUNTS, WINDOWS, Columns, Memory, add_step, empty_memory
from recsim_env.fitting.sessions import Sessions
from recsim_env.fitting.shown import Lens, Shown
from recsim_env.scenario import Scenario
from recsim_env.simulator import USERS_A_THREAD, executor

PLACES = 10  # bins of places at most
STEP_EDGES = (1, 2, 3, 5, 8, 12, 20, 35, 60, 100, 200, 500)
GROUPS_TOLD = 12  # with more groups their own click counts are left out
SAMPLE = 5000  # rows that set the bins of likeness


@dataclass(frozen=True)
class Recipe:
    """Which statistics, with bins fixed beforehand, so that a log and simulated sessions are counted alike.

    Attributes:
        lens: how items are grouped.
        slate_size: S.
        alike_edges: cosines between the bins of likeness.
        cut: steps at which sessions are cut.
    """

    lens: Lens
    slate_size: int
    alike_edges: tuple[float, ...]
    cut: int

    @classmethod
    def of(cls, sessions: Sessions, scenario: Scenario) -> Recipe:
        lens = Lens.of(scenario)
        return cls(lens, scenario.slate_size, alike_edges(sessions, lens), sessions.cut)

    @cached_property
    def place_bin(self) -> np.ndarray:
        """(S,) the bin of each place."""
        bins = min(PLACES, self.slate_size)
        return (np.arange(self.slate_size) * bins) // self.slate_size

    @cached_property
    def step_edges(self) -> np.ndarray:
        return np.array([edge for edge in STEP_EDGES if edge < self.cut], np.int64)

    @cached_property
    def columns(self) -> Columns:
        windows, steps = (len(WINDOWS) + 1) * COUNTS, len(self.step_edges) + 1
        widths = {
            **dict.fromkeys(("length", "clicks", "pairs", "same_pairs", "lag", "same_lag", "dry"), 1),
            "place_clicks": int(self.place_bin[-1]) + 1,
            "step_clicks": steps,
            "step_count": steps,
            "own_clicks": windows,
            "own_shown": windows,
            "top_clicks": windows,
            "top_steps": windows,
            "alike_clicks": ALIKE,
            "alike_shown": ALIKE,
            "values": 3 * len(self.lens.names),
        }
        edges = np.r_[0, np.cumsum(list(widths.values()))].tolist()
        return Columns(*edges)

    def tally(self, n: int) -> Tally:
        """Empty sums of n sessions."""
        groups, features = self.lens.groups, self.lens.features
        return Tally(self, np.zeros((n, self.columns.width)), empty_memory(n, groups, features))


def alike_edges(sessions: Sessions, lens: Lens) -> tuple[float, ...]:
    """Quintiles of the cosine between a shown item and three others: about what likeness to past clicks is."""
    rng, log = np.random.default_rng(0), sessions.log
    rows = rng.integers(len(log), size=SAMPLE)
    seen = {key: values[rows] for key, values in log.observations.items()}
    unit = lens.look(seen, log.slates[rows], {k: v[rows] for k, v in log.responses.items()}).unit[:, 0]
    others = unit[rng.integers(SAMPLE, size=(3, SAMPLE))].sum(axis=0)
    sizes = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    edges = np.quantile((unit * others).sum(axis=1) / sizes, [0.2, 0.4, 0.6, 0.8])
    return tuple(float(edge) for edge in edges)


class Tally:
    """The sums of n sessions while their steps are added."""

    def __init__(self, recipe: Recipe, sums: np.ndarray, memory: Memory) -> None:
        self.recipe, self.sums, self.memory = recipe, sums, memory

    def add(self, step: int, shown: Shown, rows: np.ndarray, who: np.ndarray, threads: int = 1) -> None:
        """Add step `step` of the sessions `who` (m,), which stands at the places `rows` (m,) of `shown`."""
        recipe = self.recipe
        step_bin = int(np.searchsorted(recipe.step_edges, step, side="right"))
        given = (self.sums, recipe.columns, self.memory, rows, who)
        bins = (step, step_bin, recipe.place_bin, np.array(recipe.alike_edges))
        seen = (shown.group, shown.unit, shown.clicked, shown.values)
        compiled: Callable[..., None] = add_step
        if threads == 1 or len(who) < USERS_A_THREAD:
            compiled(*given, 0, len(who), *bins, *seen)
            return
        pieces = pairwise(np.linspace(0, len(who), threads + 1).astype(int).tolist())
        list(executor(threads).map(lambda piece: compiled(*given, *piece, *bins, *seen), pieces))

    def rows(self) -> np.ndarray:
        """(n, K) what each session adds to the statistics named by `names`."""
        sums, at = self.sums, self.recipe.columns
        totals = self.memory.counts[:, -1].astype(float)
        most = totals.max(axis=1)
        length, clicks = sums[:, at.length], sums[:, at.clicks]
        extra = [length**2, clicks**2, (totals**2).sum(axis=1), most, (clicks == 0).astype(float)]
        told = [totals] if self.recipe.lens.groups <= GROUPS_TOLD else []
        return np.column_stack([sums, *extra, *told])


EXTRA = ("length squared", "clicks squared", "clicks by group squared", "clicks on the favourite group", "no click")


def names(recipe: Recipe) -> list[str]:
    """What each column of `Tally.rows` is."""
    at = recipe.columns
    fields = [(name, getattr(at, name)) for name in at._fields if name != "width"]
    stops = [start for _, start in fields[1:]] + [at.width]
    told = [
        f"{name}[{k}]" if stop - start > 1 else name
        for (name, start), stop in zip(fields, stops, strict=True)
        for k in range(stop - start)
    ]
    groups = recipe.lens.groups
    return [*told, *EXTRA, *(f"clicks on group {g}" for g in range(groups if groups <= GROUPS_TOLD else 0))]


def tally_log(sessions: Sessions, recipe: Recipe) -> np.ndarray:
    """(n, K) of logged sessions."""
    tally, log = recipe.tally(len(sessions)), sessions.log
    for step, rows in by_step(sessions):
        seen = {k: log.observations[k][rows] for k in ("candidate_ids", "candidates") if k in log.observations}
        shown = recipe.lens.look(seen, log.slates[rows], {k: v[rows] for k, v in log.responses.items()})
        tally.add(step, shown, np.arange(len(rows)), sessions.owner[rows])
    return tally.rows()


def by_step(sessions: Sessions) -> Iterator[tuple[int, np.ndarray]]:
    """Each step, and the rows of the sessions that have it."""
    lengths = np.diff(sessions.starts)
    for step in range(int(lengths.max())):
        yield step, sessions.starts[:-1][lengths > step] + step
