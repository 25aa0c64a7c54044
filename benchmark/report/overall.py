"""Several worlds at once: agents by their normalised scores, a score a world and seed."""

from __future__ import annotations

import numpy as np
from plotly.graph_objects import Figure

from benchmark.report.data import Results
from benchmark.report.figures import looks_of, plain
from benchmark.scores import NoScore, score_matrix

POINTS = 201


def scores_of(results: Results) -> tuple[dict[str, np.ndarray], str]:
    """Each agent's scores (seeds, worlds), and why there are none where there are none."""
    worlds = list(results.experiment.worlds)
    if len(worlds) < 2:
        return {}, ""
    try:
        return score_matrix({world: results.users[results.users["scenario"] == world] for world in worlds}), ""
    except NoScore as why:
        return {}, str(why)


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
