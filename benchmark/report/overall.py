"""Several worlds at once: agents by their normalised scores, a score a world and seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from benchmark.rankings import across
from benchmark.report.data import Results
from benchmark.report.figures import looks_of, plain
from benchmark.scores import NoScore, score_matrix

POINTS = 201


@dataclass(frozen=True)
class Overall:
    """What can be said of all worlds together.

    Attributes:
        scores: each agent's (seeds, worlds); empty where there are none.
        why: there are none; empty too where there is one world, of which nothing is to be said here.
    """

    scores: dict[str, np.ndarray]
    why: str = ""

    @classmethod
    def of(cls, results: Results) -> Overall:
        """Of the results of an experiment."""
        worlds = list(results.experiment.worlds)
        if len(worlds) < 2:
            return cls({})
        try:
            return cls(score_matrix({world: results.users[results.users["scenario"] == world] for world in worlds}))
        except NoScore as why:
            return cls({}, str(why))

    @cached_property
    def table(self) -> pd.DataFrame:
        """The agents, best first; see `across`."""
        return across(self.scores)


def profile(results: Results, scores: dict[str, np.ndarray]) -> Figure:
    """The share of an agent's runs that score more than so much (Agarwal et al., 2021)."""
    figure, looks = plain("normalised score: 0 random, 1 patient_oracle", "share of runs with more"), looks_of(results)
    every = np.concatenate([values.ravel() for values in scores.values()])
    grid = np.linspace(min(0.0, every.min()), max(1.0, every.max()), POINTS)
    for agent, values in scores.items():
        colour, dash, _ = looks[agent]
        share = (values.ravel()[:, None] > grid).mean(axis=0)
        line = {"color": colour, "dash": dash, "shape": "hv"}
        figure.add_scatter(x=grid, y=share, mode="lines", name=agent, line=line)
    return figure
