"""The folder of an experiment: claimed by it, locked while it runs, read when it is done."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from benchmark.experiment import Experiment
from recsim_env.errors import RunFolderError
from recsim_env.files import LOCK, whole
from recsim_env.resources import usable_cores

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


def evaluations(experiment: Experiment, out: Path) -> pd.DataFrame:
    """The evaluation tables of all runs, one under the other, with their scenario.

    Raises:
        RunFolderError: see `table_of`.
    """
    tables = [
        table_of(run.folder(out) / "evaluation.parquet").assign(scenario=run.scenario) for run in experiment.runs()
    ]
    return pd.concat(tables, ignore_index=True)


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
