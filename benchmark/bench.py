"""The command `bench`: progress while it runs, a ranking when it is done."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import pandas as pd
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmark.executors.execution import Executor, run_all
from benchmark.experiment import Experiment
from benchmark.folder import Failed, check_folder, claim, evaluations, failures
from benchmark.rankings import print_across, print_measures, print_ranking, ranked
from benchmark.recorder import Scalars
from recsim_env.errors import RunFailed
from recsim_env.files import locked, whole


class Bars:
    """A bar a running run; plain lines where the output is not a terminal."""

    def __init__(self, experiment: Experiment) -> None:
        self.runs, self.worlds, self.began = experiment.runs(), len(experiment.worlds), time.monotonic()
        self.live = sys.stdout.isatty()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
        )
        self.bars = Progress(
            *columns,
            TextColumn("{task.fields[latest]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            disable=not self.live,
        )
        self.tasks: dict[int, TaskID] = {}
        self.finished: set[int] = set()
        self.lock = Lock()  # what workers tell comes on a thread of its own, and may come after they are done

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def name(self, number: int) -> str:
        run = self.runs[number]
        return f"{run.agent} seed {run.seed}" + (f" in {run.scenario}" if self.worlds > 1 else "")

    def update(self, number: int, step: int, scalars: Scalars) -> None:
        reward, fps = scalars.get("eval/engagement"), scalars.get("time/fps")
        latest = (f"engagement {reward:.1f}" if reward is not None else "") + (f", {fps:,.0f} steps/s" if fps else "")
        with self.lock:
            if number in self.finished:
                return
            if number not in self.tasks:
                self.tasks[number] = self.bars.add_task(self.name(number), total=self.runs[number].steps, latest="")
            self.bars.update(self.tasks[number], completed=step, latest=latest)

    def done(self, number: int, failed: str = "") -> None:
        with self.lock:
            self.finished.add(number)
            if number in self.tasks:
                self.bars.remove_task(self.tasks.pop(number))
        count = f"[{len(self.finished)}/{len(self.runs)}]"
        line = f"{count} {self.name(number)} {'failed' if failed else 'done'}, {time.monotonic() - self.began:.0f} s"
        self.bars.console.print(line, highlight=False) if self.live else print(line, flush=True)


def run_bench(experiment: Experiment, out: Path, executor: Executor) -> None:
    """Check, run what is missing, write ranking.csv, and print the rankings.

    Raises:
        RecSimError: of any kind, before anything starts. RunFailed: after the rankings, where a run failed.
    """
    worlds = experiment.check()
    check_folder(experiment, out)
    for name, scenario in worlds.items():
        if scenario.summary():
            print(f"{experiment.title(name)}: {scenario.summary()}", flush=True)
    with locked(out):
        claim(experiment, out)
        try:
            with Bars(experiment) as bars:
                run_all(experiment, out, executor, bars)
        except KeyboardInterrupt:
            whole_runs = sum(run.folder(out).exists() for run in experiment.runs())
            print(
                f"{whole_runs} of {len(experiment.runs())} runs are whole; the same command goes on from there",
                file=sys.stderr,
            )
            raise
        failed = failures(experiment, out)
        if len(failed) == len(experiment.runs()):
            raise told_of(failed, len(failed), out)
        results = evaluations(experiment, out)
        rankings = {
            (str(world), str(people)): ranked(group)
            for (world, people), group in results.groupby(["scenario", "people"], sort=False)
        }
        with whole(out / "ranking.csv") as part:
            labelled = (ranking.assign(scenario=world, people=group) for (world, group), ranking in rankings.items())
            pd.concat(labelled).to_csv(part, index=False)
    for (world, people), ranking in rankings.items():
        print_ranking(experiment, world, people, ranking, failed)
        print_measures(results[(results["scenario"] == world) & (results["people"] == people)])
    if len(worlds) > 1:
        print_across(results)
    print(f"\nTables: {out}/ranking.csv. Curves: recsim-env tensorboard {out}")
    if failed:
        raise told_of(failed, len(experiment.runs()), out)


def told_of(failed: Failed, count: int, out: Path) -> RunFailed:
    """What the command ends with where runs failed."""
    run, why = failed[0]
    return RunFailed(
        f"{len(failed)} of {count} runs failed and are not in the ranking, the first: {why}; the same command keeps "
        f"them, and remove {run.folder(out)} to try that one again"
    )
