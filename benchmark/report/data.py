"""What an experiment left behind, read for its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.experiment import Experiment
from benchmark.folder import Failed, evaluations, failures, items_of
from benchmark.rankings import ranked
from benchmark.run import FAILED, Run, failure_of
from recsim_env.errors import RunFolderError

CURVES = ("eval/engagement", "eval/immediate_reward")


@dataclass(frozen=True)
class Results:
    """A finished experiment.

    Attributes:
        folder: of its runs.
        told: what `experiment.json` holds: the experiment, its hash, versions, machine and commit.
        experiment: the same as an object.
    """

    folder: Path
    told: Mapping[str, Any]
    experiment: Experiment

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Open a folder of `bench`.

        Raises:
            RunFolderError: it holds no experiment, or one that is not finished.
        """
        try:
            told = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
            experiment = Experiment(**told["experiment"])
        except (OSError, ValueError, KeyError, TypeError):
            raise RunFolderError(f"{folder} holds no experiment; name a folder that `recsim-env bench` wrote") from None
        runs = experiment.runs()
        if all(failure_of(run.folder(folder)) for run in runs):
            raise RunFolderError(f"all runs in {folder} failed, so there is nothing to report; see its {FAILED} files")
        left = sum(not run.folder(folder).exists() for run in runs)
        if left:
            raise RunFolderError(f"{left} of {len(runs)} runs in {folder} are missing; run the same bench again first")
        return cls(folder, told, experiment)

    @cached_property
    def failed(self) -> Failed:
        """The runs that failed, and why; they are in no table and no figure."""
        return failures(self.experiment, self.folder)

    @cached_property
    def whole_runs(self) -> list[Run]:
        """The runs that did not fail."""
        failed = [run for run, _ in self.failed]
        return [run for run in self.experiment.runs() if run not in failed]

    @cached_property
    def users(self) -> pd.DataFrame:
        """A row a run and evaluation user; of a persistent population the known people."""
        table = evaluations(self.experiment, self.folder)
        return table[table["people"] == table.groupby("scenario")["people"].transform("first")]

    @cached_property
    def items(self) -> pd.DataFrame:
        """A row a run and item: scenario, agent, seed, item, shown, users, clicks."""
        tables = (items_of(run, self.folder).assign(scenario=run.scenario) for run in self.whole_runs)
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """A row a run and point of a curve: scenario, agent, seed, curve, step, value."""
        return pd.DataFrame(
            [
                (run.scenario, run.agent, run.seed, name, point.step, point.value)
                for run in self.whole_runs
                for name, points in scalars(run.folder(self.folder)).items()
                for point in points
            ],
            columns=["scenario", "agent", "seed", "curve", "step", "value"],
        )

    @cached_property
    def rankings(self) -> dict[str, pd.DataFrame]:
        """The agents of each world, best first; see `rank_agents`."""
        return {world: ranked(self.users[self.users["scenario"] == world]) for world in self.experiment.worlds}


def scalars(folder: Path) -> dict[str, list[Any]]:
    """The points of a run's curves that the report draws."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {name: events.Scalars(name) for name in CURVES if name in events.Tags()["scalars"]}
