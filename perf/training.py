"""Where the time of a training goes: interest_evolution, 10 candidates, a slate of 1.

    python perf/training.py [--agents dqn,pqn,slate_q] [--steps 100000] [--repeats 3] [--device cpu] [--out FILE.json]

Each agent is trained as often as there are repeats, in turn with the others, and without evaluations. The table has the
user-steps a second (median, lowest and highest) and what share of the time each part takes; on a GPU every part waits
for what it started there, and 32 steps in the middle of one more training tell what share of the time the GPU computes.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import agents.dqn
import agents.pqn
import agents.slate_q
from benchmark.run import Run, training_envs
from recsim_env.agent import NoLog, WorldSpec, agent_class
from recsim_env.wrappers import InteractionBudget

PARTS = ("simulation", "acting", "replay", "learning")
METHODS: dict[str, tuple[type, dict[str, str]]] = {
    "dqn": (agents.dqn.Training, {"explore": "acting", "keep": "replay", "_learn": "learning"}),
    "slate_q": (agents.slate_q.Training, {"explore": "acting", "keep": "replay", "_learn": "learning"}),
    "pqn": (agents.pqn.Training, {"_play": "acting", "_returns": "learning", "_learn": "learning"}),
}


class Stopwatch:
    """Seconds of each part; a part that is begun within another stops the other's clock."""

    def __init__(self, cuda: bool) -> None:
        self.seconds: Counter[str] = Counter()
        self.cuda, self.running = cuda, ["other"]
        self.began = time.perf_counter()

    def _switch(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[self.running[-1]] += now - self.began
        self.began = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time put down to `part`."""

        @wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self.running.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self.running.pop()

        return measured


@contextmanager
def watched(watch: Stopwatch, agent: str) -> Iterator[None]:
    """The agent's methods timed within the block."""
    kind, methods = METHODS[agent]
    plain = {name: getattr(kind, name) for name in methods}
    for name, part in methods.items():
        setattr(kind, name, watch.timed(part, plain[name]))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(kind, name, function)


class Window:
    """What share of the time the GPU computes while `STEPS` steps of all users are played, from half of them on.

    Whole rounds of learning fall into it; to profile a whole training takes minutes.
    """

    STEPS = 32  # a rollout of pqn

    def __init__(self, steps: int) -> None:
        self.first, self.played, self.share = max(1, (steps - self.STEPS) // 2), 0, float("nan")
        self.profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        self.began = 0.0

    def around(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The function that steps all users, counted."""

        def counted(*args: Any) -> Any:
            if self.played == self.first:
                self.profile.start()
                torch.cuda.synchronize()
                self.began = time.perf_counter()
            if self.played == self.first + self.STEPS:
                torch.cuda.synchronize()
                seconds = time.perf_counter() - self.began
                self.profile.stop()
                self.share = sum(event.self_device_time_total for event in self.profile.key_averages()) / 1e6 / seconds
            self.played += 1
            return step(*args)

        return counted


def prepared(run: Run) -> tuple[Any, Any]:
    """An agent, and users to train it with."""
    kind, config = agent_class(run.agent), run.config()
    envs = InteractionBudget(training_envs(kind, config, run.world(), run.seed, 0, run.observe), run.steps)
    return kind(config, WorldSpec.of(envs)), envs


def train(run: Run) -> float:
    """Seconds that a training takes."""
    agent, envs = prepared(run)
    began = time.perf_counter()
    agent.train(envs, run.steps, NoLog())
    return time.perf_counter() - began


def shares(run: Run, cuda: bool) -> dict[str, float]:
    """What share of a training's time each part takes."""
    (agent, envs), watch = prepared(run), Stopwatch(cuda)
    envs.step = watch.timed("simulation", envs.step)
    with watched(watch, run.agent):
        watch.began = time.perf_counter()
        watch.timed("other", agent.train)(envs, run.steps, NoLog())
    return {part: watch.seconds[part] / watch.seconds.total() for part in (*PARTS, "other")}


def computed(run: Run) -> float:
    """What share of a training's time the GPU computes."""
    agent, envs = prepared(run)
    window = Window(run.steps // envs.num_envs)
    envs.step = window.around(envs.step)
    agent.train(envs, run.steps, NoLog())
    return window.share


def measure(runs: dict[str, Run], repeats: int, cuda: bool) -> dict[str, dict[str, Any]]:
    """Numbers by agent: user-steps a second of each repeat, and shares of the time."""
    rates: dict[str, list[float]] = {label: [] for label in runs}
    for run in runs.values():
        train(Run(run.scenario, run.parameters, run.agent, run.settings, run.seed, run.steps // 10, run.users))
    for _ in range(repeats):
        for label, run in runs.items():
            rates[label].append(run.steps / train(run))
    found: dict[str, dict[str, Any]] = {}
    for label, run in runs.items():
        found[label] = {"user_steps_a_second": rates[label], **shares(run, cuda)}
        found[label] |= {"gpu": computed(run)} if cuda else {}
    return found


def table(found: dict[str, dict[str, Any]], where: str) -> Table:
    """A row an agent."""
    gpu = any("gpu" in row for row in found.values())
    columns = ("agent", "user-steps a second", *PARTS, "other", *(("the GPU computes",) if gpu else ()))
    drawn = Table(*columns, title=f"interest_evolution, slate of 1, {where}")
    for label, row in found.items():
        rates = row["user_steps_a_second"]
        parts = [f"{100.0 * row[part]:.0f} %" for part in (*PARTS, "other", *(("gpu",) if gpu else ()))]
        drawn.add_row(label, f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})", *parts)
    return drawn


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", default="dqn,pqn,slate_q", help="dqn, pqn and slate_q, with settings as in `bench`")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    arguments = parser.parse_args()
    runs = {}
    for label in arguments.agents.split(","):
        agent, *pairs = label.split("@")
        settings = {"device": arguments.device, **dict(pair.split("=", 1) for pair in pairs)}
        world = {"slate_size": 1, "num_candidates": 10}
        runs[label] = Run("interest_evolution", world, agent, settings, 0, arguments.steps, 1)
        fewest = (Window.STEPS + 2) * runs[label].config().users
        if arguments.device == "cuda" and arguments.steps < fewest:
            parser.error(f"--steps must be at least {fewest} for {label}, not {arguments.steps}")
    found = measure(runs, arguments.repeats, arguments.device == "cuda")
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {platform.machine()}"
    Console(width=130).print(table(found, where))
    if arguments.out:
        arguments.out.write_text(json.dumps({"where": where, "steps": arguments.steps, "agents": found}, indent=2))


if __name__ == "__main__":
    main()
