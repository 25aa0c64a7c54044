"""A folder of logs: a Parquet file for each block of users, made here or by a cluster, and gone on with."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from agents.torch_tools import one_thread
from benchmark.behaviour import Collection, Logged
from benchmark.executors.cluster import LoadAgent, Ray
from benchmark.executors.local import Local
from benchmark.first_sessions import BLOCK, blocks_of, sessions_from
from benchmark.progress import counted
from benchmark.run import Run
from recsim_env.errors import RunFolderError
from recsim_env.files import LOCK, locked, whole
from recsim_env.logs import write_logs

MARK = "collect.json"  # what the folder holds
Paths = dict[tuple[int, int], Path]  # of blocks: the first user and how many


def write_folder(
    what: Collection, policy: Logged, options: dict[str, Any], sessions: int, out: Path, executor: Local | Ray
) -> int:
    """Log first sessions, those that are not there yet.

    Returns:
        All rows of the folder.

    Raises:
        RunFolderError: it holds something else, or somebody works in it.
    """
    with claimed(what, sessions, out), counted() as tell:
        paths = {block: out / f"users-{block[0]:010d}.parquet" for block in blocks_of(sessions)}
        missing = {block: path for block, path in paths.items() if not path.exists()}
        written = write_blocks(what, policy, options, missing, executor)
        try:
            for done, path in enumerate(written, 1 + len(paths) - len(missing)):
                tell(path.name, done, len(paths))
        except KeyboardInterrupt:
            print("stopped; what was logged is kept, and the same command goes on from there", file=sys.stderr)
            raise
        return sum(pq.read_metadata(path).num_rows for path in paths.values())


def write_blocks(
    what: Collection, policy: Logged, options: dict[str, Any], paths: Paths, executor: Local | Ray
) -> Iterator[Path]:
    """Each file, when it is whole."""
    if isinstance(executor, Ray):
        run = Run(what.scenario, what.parameters, policy.name, what.settings, what.seed, 0, 1)
        contents = executor.with_agent(policy.agent, log_elsewhere, [(run, options, *block) for block in paths])
        for path, content in zip(paths.values(), contents, strict=True):
            with whole(path) as aside:
                aside.write_bytes(content)
            yield path
        return
    for (first, count), path in paths.items():
        write_logs(path, sessions_from(what.world(), policy, options, first, count, what.seed))
        yield path


def log_elsewhere(get: LoadAgent, run: Run, options: dict[str, Any], first: int, count: int) -> bytes:
    """The file of some users, in a worker of a cluster."""
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        write_logs(path, sessions_from(run.world(), Logged(get(run), run.agent), options, first, count, run.seed))
        return path.read_bytes()


@contextmanager
def claimed(what: Collection, sessions: int, out: Path) -> Iterator[None]:
    """The folder for these sessions alone; new, empty, or with files of the same.

    Raises:
        RunFolderError: it holds something else, or somebody works in it.
    """
    mine = {**asdict(what), "sessions": sessions, "users_a_file": BLOCK}
    mark, before = out / MARK, None
    if mark.is_file():
        before = json.loads(mark.read_text(encoding="utf-8"))
    elif out.exists() and any(path.name != LOCK for path in out.iterdir()):
        raise RunFolderError(f"{out} exists and holds no log; choose another --out, or remove it")
    if before not in (None, json.loads(json.dumps(mine))):
        key = next(key for key in mine if before.get(key) != mine[key])
        raise RunFolderError(
            f"{out} holds another log ({key} was {before.get(key)!r}, now {mine[key]!r}); choose another --out, or "
            "remove it"
        )
    with locked(out):
        if before is None:
            with whole(mark) as aside:
                aside.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
        yield
