"""How long our dqn and Stable-Baselines3's DQN take to the same engagement, with a slate of 1.

    python perf/sb3_dqn.py [--world interest_evolution] [--steps 100000] [--seeds 5] [--out build/sb3_dqn]
                           [--also sb3:DQN] [--picture docs/sb3_dqn.png]

Both score each candidate with one shared network. Six settings of each are tried with three seeds of their own; the
best of each, by the median of what it ends with, is trained with other seeds. While it learns an agent is evaluated
eleven times, with the clock stopped; seconds are those of a core. The level is what theirs ends with, the median of its
seeds. Each training is kept in a file, and a second call goes on from there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmark.evaluation import evaluate
from benchmark.recorder import Recorder
from benchmark.run import Run, training_envs
from recsim_env.agent import WorldSpec, agent_class
from recsim_env.files import whole
from recsim_env.streams import Purpose
from recsim_env.wrappers import InteractionBudget

THEIRS = (
    "sb3:DQN",
    "sb3:DQN@learning_rate=0.001",
    "sb3:DQN@n_steps=1",
    "sb3:DQN@gradient_steps=16",
    "sb3:DQN@users=16",
    "sb3:DQN@users=16@learning_rate=0.001",
)
OURS = ("", "@learning_rate=0.001", "@batch=128", "@updates=2", "@updates=2@batch=128", "@updates=8@batch=128")
TRIAL, USERS = (100, 101, 102), 300  # the trial's seeds; users of an evaluation
Curve = list[tuple[float, float]]  # seconds of training, and the engagement then


@dataclass(frozen=True)
class World:
    """A world with a slate of 1, and the label of our dqn that fits it, without what is tried."""

    name: str
    parameters: dict[str, Any]
    ours: str

    def run(self, label: str, seed: int, steps: int) -> Run:
        return Run(self.name, self.parameters, label, {}, seed, steps, USERS)


WORLDS = {
    "interest_evolution": World("interest_evolution", {"num_candidates": 10, "slate_size": 1}, "dqn"),
    "long_term_satisfaction": World("long_term_satisfaction:hard", {}, "dqn@n_step=10"),
}


def evaluated(run: Run, agent: Any, seed: int) -> float:
    return float(evaluate(agent, run.world(), users=USERS, seed=seed, purpose=Purpose.VALIDATE).summary["engagement"])


def reference(run: Run) -> float:
    """What an agent that does not learn is worth."""
    kind, config = agent_class(run.agent), run.config()
    return evaluated(run, kind(config, WorldSpec.of(training_envs(kind, config, run.world(), 0, 0))), 0)


def curve(run: Run) -> Curve:
    """Train, and stop the clock to evaluate; the clock is that of the processor, so that other work does not count."""
    kind, config, seed, steps = agent_class(run.agent), run.config(), run.seed, run.steps
    envs = training_envs(kind, config, run.world(), seed, 0)
    agent, points, began, away = kind(config, WorldSpec.of(envs)), Curve(), time.process_time(), 0.0

    def look() -> dict[str, float]:
        nonlocal away
        now = time.process_time()
        points.append((now - began - away, evaluated(run, agent, seed)))
        away += time.process_time() - now
        return {"eval/engagement": points[-1][1]}

    recorder = Recorder(InteractionBudget(envs, steps), lambda scalars, step: None, look, lambda step, scalars: None)
    agent.train(recorder, steps, recorder)
    recorder.finish()
    return points


def kept_curve(out: Path, run: Run) -> Curve:
    """The curve from its file, or trained and written there."""
    file = out / run.scenario.replace(":", "-") / f"{run.agent.replace(':', '-')}-{run.seed}-{run.steps}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        found = curve(run)
        with whole(file) as aside:
            aside.write_text(json.dumps(found), encoding="utf-8")
    points: Curve = [(seconds, value) for seconds, value in json.loads(file.read_text(encoding="utf-8"))]
    print(f"{run.agent}, seed {run.seed}: {points[-1][1]:.1f} after {points[-1][0]:.0f} s", flush=True)
    return points


def best_of(labels: Sequence[str], world: World, steps: int, out: Path) -> str:
    """The label that ends highest, by the median of the trial's seeds."""
    ends = {
        label: statistics.median(kept_curve(out, world.run(label, seed, steps))[-1][1] for seed in TRIAL)
        for label in labels
    }
    return max(ends, key=lambda label: ends[label])


def reached(points: Curve, level: float) -> float:
    """Seconds until a curve is at this level and stays there; luck may lift it before. Infinite where it never does."""
    stays = float("inf")
    for seconds, value in reversed(points):
        if value < level:
            break
        stays = seconds
    return stays


def first_at(points: Curve, level: float) -> float:
    """Seconds until a curve is at this level for the first time; infinite where it never is."""
    return min((seconds for seconds, value in points if value >= level), default=float("inf"))


def draw(world: World, curves: Mapping[str, Sequence[Curve]], level: float, picture: Path) -> None:
    figure = Figure((8, 4), dpi=120, layout="constrained")
    axis = figure.subplots()
    for (label, several), colour in zip(curves.items(), ("#4477aa", "#ee6677", "#bbbbbb"), strict=False):
        for number, points in enumerate(several):
            axis.plot(*zip(*points, strict=True), color=colour, label=label if number == 0 else None)
    axis.axhline(level, color="#bbbbbb", lw=1, ls="--")
    axis.set(xlabel="seconds of training, one core", ylabel="engagement of a session,\nvalidation users")
    axis.set_title(f"{world.name}, a slate of 1")
    axis.legend(frameon=False, loc="lower right")
    figure.savefig(picture)


def table(curves: Mapping[str, Sequence[Curve]], level: float) -> Table:
    """A row an agent: the end of each seed, the seconds of a training, and those to the level, seed by seed."""
    drawn = Table("agent", "in the end, by seed", "seconds", f"at {level:.1f} first", "median", "for good", "median")
    for label, several in curves.items():
        cells = [", ".join(f"{points[-1][1]:.1f}" for points in several)]
        cells.append(f"{statistics.median(points[-1][0] for points in several):.0f}")
        for when in (first_at, reached):
            times = [when(points, level) for points in several]
            cells += [", ".join(f"{seconds:.0f}" for seconds in times), f"{statistics.median(times):.1f}"]
        drawn.add_row(label, *cells)
    return drawn


def main() -> None:
    """Train what is not kept, print the table, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="interest_evolution", choices=WORLDS)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/sb3_dqn"), help="the folder of the trainings")
    parser.add_argument("--also", default="", help="a label to set beside them, whatever the trial says")
    parser.add_argument("--picture", type=Path, help="a PNG file for the curves")
    arguments = parser.parse_args()
    world, out, steps = WORLDS[arguments.world], arguments.out, arguments.steps
    random, oracle = (reference(world.run(label, 0, steps)) for label in ("random", "patient_oracle"))
    theirs = best_of(THEIRS, world, steps, out)
    ours = best_of([world.ours + more for more in OURS], world, steps, out)
    also = [label for label in (arguments.also,) if label]
    curves = {
        label: [kept_curve(out, world.run(label, seed, steps)) for seed in range(arguments.seeds)]
        for label in (theirs, ours, *also)
    }
    level = statistics.median(points[-1][1] for points in curves[theirs])
    share = (level - random) / (oracle - random)
    console = Console(width=170)
    console.print(table(curves, level))
    console.print(
        f"random {random:.1f}, patient_oracle {oracle:.1f}: {theirs} ends {100 * share:.0f} % of the way, median of "
        "its seeds"
    )
    if arguments.picture:
        draw(world, curves, level, arguments.picture)


if __name__ == "__main__":
    main()
