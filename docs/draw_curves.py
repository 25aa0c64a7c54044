"""Draw the evaluation curves of an experiment: python docs/draw_curves.py RUNS PICTURE.png

A line an agent: the mean over its seeds of `eval/engagement`, with each seed as a thin line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]  # Paul Tol's, for all eyes
CURVE = "eval/engagement"


def curve(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """User-steps and engagement of one run."""
    events = EventAccumulator(str(folder))
    events.Reload()
    points = events.Scalars(CURVE)
    return np.array([p.step for p in points]), np.array([p.value for p in points])


def draw(runs: Path, picture: Path) -> None:
    """One panel with every agent of the experiment in `runs`."""
    figure = Figure((8, 4.5), dpi=120, layout="constrained")
    axis = figure.subplots()
    agents = sorted({path.parents[1] for path in runs.rglob("run.json")})
    for agent, colour in zip(agents, COLOURS, strict=False):
        curves = [curve(seed) for seed in sorted(agent.iterdir()) if (seed / "run.json").exists()]
        for steps, values in curves:
            axis.plot(steps, values, color=colour, lw=0.6, alpha=0.6)
        shortest = min(len(steps) for steps, _ in curves)
        mean = np.mean([values[:shortest] for _, values in curves], axis=0)
        axis.plot(curves[0][0][:shortest], mean, color=colour, lw=2, label=f"{agent.name} ({mean[-1]:.0f})")
    axis.set_xlabel("user-steps of training")
    axis.set_ylabel("engagement of a session,\nvalidation users")
    axis.set_title(agents[0].parent.name)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axis.grid(alpha=0.3)
    figure.savefig(picture)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
