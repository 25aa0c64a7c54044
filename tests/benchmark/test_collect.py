"""Logs from the command line: as one file or a folder of files, gone on with, in memory that does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import recsim_env.array_files as array_files
from benchmark import log_folder
from benchmark.behaviour import ready_agent
from benchmark.first_sessions import first_sessions_of
from recsim_env.errors import DataError
from recsim_env.logs import Interactions
from recsim_env.registration import find_world
from tests.benchmark.commands import run

WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"


def collect(monkeypatch: pytest.MonkeyPatch, arguments: str) -> int:
    return run(monkeypatch, *f"collect {WORLD} {arguments}".split())


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 50 users."""
    for module in ("benchmark.first_sessions", "benchmark.log_folder"):
        monkeypatch.setattr(f"{module}.BLOCK", 50)


@pytest.mark.usefixtures("small_blocks")
def test_a_folder_holds_what_one_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert collect(monkeypatch, f"--sessions 120 --out {tmp_path / 'log.parquet'}") == 0
    assert collect(monkeypatch, f"--sessions 120 --out {tmp_path / 'logs'}") == 0
    names = [path.name for path in sorted((tmp_path / "logs").glob("*.parquet"))]
    assert names == ["users-0000000000.parquet", "users-0000000050.parquet", "users-0000000100.parquet"]
    file, folder = (Interactions.from_parquet(tmp_path / name) for name in ("log.parquet", "logs"))
    memory = first_sessions_of(find_world(WORLD).make(), ready_agent(WORLD, {}, "random", {}, 0), {}, 120, 0)
    for name, values in memory.columns().items():
        assert np.array_equal(file.columns()[name], values) and np.array_equal(folder.columns()[name], values), name


@pytest.mark.usefixtures("small_blocks")
def test_a_stopped_folder_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, write, written = tmp_path / "logs", log_folder.write_logs, list[str]()

    def stops_at_the_second(path: Path, logs: object) -> int:
        written.append(path.name)
        if len(written) == 2:
            raise KeyboardInterrupt
        return write(path, logs)  # type: ignore[arg-type]

    monkeypatch.setattr(log_folder, "write_logs", stops_at_the_second)
    assert collect(monkeypatch, f"--sessions 120 --out {out}") != 0
    assert [path.name for path in out.glob("*.parquet")] == ["users-0000000000.parquet"]
    assert collect(monkeypatch, f"--sessions 120 --out {out}") == 0
    assert written[2:] == ["users-0000000050.parquet", "users-0000000100.parquet"]
    assert len(np.unique(Interactions.from_parquet(out).user)) == 120


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("--sessions 30", "holds another log (sessions was 20, now 30)"),
        ("--sessions 20 --seed 1", "holds another log (seed was 0, now 1)"),
        ("--steps 2000", "--steps writes one file"),
    ],
)
def test_another_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: str, told: str
) -> None:
    assert collect(monkeypatch, f"--sessions 20 --out {tmp_path / 'logs'}") == 0
    assert collect(monkeypatch, f"{more} --out {tmp_path / 'logs'}") == 2
    assert told in capsys.readouterr().err
    assert json.loads((tmp_path / "logs" / "collect.json").read_text())["sessions"] == 20


@pytest.mark.parametrize("mistake", ["--seen-by no_such_agent", "--agent dqn", "--set no_such=1"])
def test_a_mistake_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    assert collect(monkeypatch, f"--sessions 20 --out {tmp_path / 'logs'} {mistake}") == 2
    assert not (tmp_path / "logs").exists()


def test_a_log_larger_than_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert collect(monkeypatch, f"--sessions 20 --out {tmp_path / 'log.parquet'}") == 0
    log = Interactions.from_parquet(tmp_path / "log.parquet")
    needed = sum(values.nbytes for values in log.columns().values())
    assert array_files.bytes_of(pq.read_metadata(tmp_path / "log.parquet")) == pytest.approx(needed, rel=0.5)
    monkeypatch.setattr(array_files, "total_memory", lambda: 4096)
    with pytest.raises(DataError, match=r"more than the memory that is to be had, 0 GiB; read some of its files"):
        Interactions.from_parquet(tmp_path / "log.parquet")


MEMORY = """
import resource, sys
from pathlib import Path
from benchmark.behaviour import Collection
from benchmark.collect import run_collect
from benchmark.executors.local import Local
what = Collection("interest_evolution", {"num_candidates": 60}, "random", {}, 0)
run_collect(what, 0, int(sys.argv[1]), 400, Path(sys.argv[2]), Local())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(steps: int, out: Path) -> int:
    """Bytes of memory that a log of so many user-steps took at most, in a process of its own."""
    command = [sys.executable, "-c", MEMORY, str(steps), str(out)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(told.splitlines()[-1]) * (1 if sys.platform == "darwin" else 1024)


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    short, long = (peak(steps, tmp_path / f"{steps}.parquet") for steps in (12_000, 72_000))
    with pq.ParquetFile(tmp_path / "72000.parquet") as file:
        held = array_files.bytes_of(file.metadata)
    assert held > 350e6
    assert long - short < 0.25 * held
