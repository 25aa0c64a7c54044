"""The folder of an experiment: claimed by it, locked while it runs, read when it is done."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmark.evaluation import COLUMNS
from benchmark.experiment import Experiment
from benchmark.run import Run, failure_of
from recsim_env.errors import RunFolderError
from recsim_env.files import LOCK, whole
from recsim_env.resources import usable_cores

Failed = list[tuple[Run, str]]  # runs, and why they failed
PACKAGES = ("recsim-env", "gymnasium", "numba", "numpy", "pandas", "stable-baselines3", "torch")


def check_folder(experiment: Experiment, out: Path) -> None:
    """Whether the folder can take this experiment: it is new, empty, or holds the same one.

    Raises:
        RunFolderError: the folder holds another experiment or something else.
    """
    path = out / "experiment.json"
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(p.name != LOCK for p in out.iterdir())):
            raise RunFolderError(f"{out} exists and holds no experiment; choose another folder with --out")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["experiment"]
    except (ValueError, KeyError, OSError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); remove {out} or choose another folder with --out") from None
    different = [key for key, value in experiment.plain().items() if before.get(key) != value]
    if different:
        key = different[0]
        raise RunFolderError(
            f"{out} holds another experiment ({key} was {before.get(key)!r}, now {experiment.plain()[key]!r}); "
            f"choose another folder with --out, or remove it"
        )


def claim(experiment: Experiment, out: Path) -> None:
    """Write the experiment into its folder, or find the same one there (see `check_folder`)."""
    check_folder(experiment, out)
    if (out / "experiment.json").exists():
        return
    content = {"experiment": experiment.plain(), "hash": experiment.hash, **surroundings()}
    with whole(out / "experiment.json") as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def surroundings() -> dict[str, Any]:
    """Versions, machine and commit, as far as they are known."""
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "machine": {"python": platform.python_version(), "machine": platform.machine(), "cores": usable_cores()},
        "commit": commit(),
    }


def commit() -> str | None:
    """That of the source tree this package runs from, with `+` where it was changed; None where it is installed."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        said = [
            subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return said[0] + ("+" if said[1] else "")


def failures(experiment: Experiment, out: Path) -> Failed:
    """The runs that failed, and why."""
    return [(run, why) for run in experiment.runs() if (why := failure_of(run.folder(out)))]


def evaluations(experiment: Experiment, out: Path) -> pd.DataFrame:
    """The evaluation tables of all runs that did not fail, one under the other, with their scenario.

    Raises:
        RunFolderError: one is missing, damaged, or not what the experiment's run leaves.
    """
    tables = []
    for run in experiment.runs():
        if not failure_of(run.folder(out)):
            tables.append(evaluation_of(run, out).assign(scenario=run.scenario))
    return pd.concat(tables, ignore_index=True)


def evaluation_of(run: Run, out: Path) -> pd.DataFrame:
    """A run's evaluation table, compared with what the experiment says of the run.

    Raises:
        RunFolderError: see `evaluations`.
    """
    path = run.folder(out) / "evaluation.parquet"
    table = table_of(path)
    check_of(path, foreign(table, run, COLUMNS) or strange(table, run) or other_run(run.folder(out), run))
    return table


def items_of(run: Run, out: Path) -> pd.DataFrame:
    """A run's table of items, compared likewise. Raises `RunFolderError`, see `evaluations`."""
    path = run.folder(out) / "items.parquet"
    table = table_of(path)
    check_of(path, foreign(table, run, ("people", "item", "shown", "users", "clicks")))
    return table


def check_of(path: Path, wrong: str) -> None:
    if wrong:
        raise RunFolderError(
            f"{path} is not of this experiment: {wrong}; remove {path.parent} and run the same bench again"
        )


def foreign(table: pd.DataFrame, run: Run, columns: Sequence[str]) -> str:
    """By what a table is not of a run's agent and seed; empty where it is."""
    missing = [column for column in ("agent", "seed", *columns) if column not in table]
    if missing:
        return f"there is no column {missing[0]}"
    if table.empty:
        return "it is empty"
    for column, value in (("agent", run.agent), ("seed", run.seed)):
        others = table.loc[table[column] != value, column]
        if len(others):
            return f"its {column} is {others.iloc[0]}, not {value}"
    return ""


def strange(table: pd.DataFrame, run: Run) -> str:
    """What a run's evaluation table says of users that it cannot; empty where nothing is wrong."""
    groups = set(table["people"])
    if groups not in ({"all"}, {"known", "new"}):
        return f"its people are {', '.join(sorted(map(str, groups)))}, not all, or known and new"
    for people, users in table.groupby("people", dropna=False)["user"]:
        if sorted(users) != list(range(run.users)):
            return f"its {people} users are not 0 to {run.users - 1}, each once"
    for column in ("engagement", "length", "clicks", "cut"):
        if not np.isfinite(table[column].to_numpy(float)).all():
            return f"{column} is not finite for each user"
    return "" if (table["length"] > 0).all() else "a session has no step"


def other_run(folder: Path, run: Run) -> str:
    """What run.json tells otherwise than the experiment; empty where nothing is."""
    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        different = [key for key, value in json.loads(json.dumps(asdict(run))).items() if told.get(key) != value]
    except (OSError, ValueError, AttributeError) as error:
        return f"run.json beside it is missing or damaged ({error})"
    key = different[0] if different else ""
    return f"run.json beside it tells another run ({key} is {told.get(key)!r}, not {asdict(run)[key]!r})" if key else ""


def table_of(path: Path) -> pd.DataFrame:
    """A table that a run left.

    Raises:
        RunFolderError: it is missing or damaged.
    """
    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        why = str(error).strip().splitlines()[0]
        raise RunFolderError(
            f"{path} is missing or damaged ({why}); remove {path.parent} and run the same bench again"
        ) from None
