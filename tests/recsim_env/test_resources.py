"""Cores and memory: the least of what the machine, the affinity and a container's groups give; from faked files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.executors import local
from recsim_env import resources

GIB = 2**30


def put(folder: Path, **files: str) -> None:
    """Write files, named with __ for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A /proc of a machine of 64 GiB whose memory is full of files, 16 cores, and a folder of no groups."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    put(proc, meminfo=f"MemTotal: {64 * 2**20} kB\nMemFree: 1024 kB\nMemAvailable: {48 * 2**20} kB")
    put(proc / "self", cgroup="0::/")
    groups.mkdir()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return proc, groups


def test_files_in_the_page_cache_are_memory(places: tuple[Path, Path]) -> None:
    assert resources.available_memory(*places) == 48 * GIB and resources.total_memory(*places) == 64 * GIB
    assert resources.usable_cores(*places) == 16


def test_a_container_of_the_second_kind(places: tuple[Path, Path]) -> None:
    """The outer group gives fewer cores, the own one less memory, of which a part is files."""
    proc, groups = places
    put(proc / "self", cgroup="0::/outer/own")
    put(groups / "outer", memory__max="max", cpu__max="250000 100000")
    put(groups / "outer" / "own", memory__max=str(4 * GIB), cpu__max="max 100000")
    put(groups / "outer" / "own", memory__current=str(3 * GIB), memory__stat=f"anon 5\ninactive_file {2 * GIB}")
    assert resources.usable_cores(*places) == 2
    assert resources.available_memory(*places) == 3 * GIB and resources.total_memory(*places) == 4 * GIB


def test_a_container_of_the_first_kind(places: tuple[Path, Path]) -> None:
    """/proc tells the host's path, which the container does not see: its limits lie at the mounts' roots."""
    proc, groups = places
    put(proc / "self", cgroup="5:cpu,cpuacct:/docker/77\n4:memory:/docker/77\n1:name=systemd:/docker/77")
    put(groups / "cpu", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    put(groups / "memory", memory__limit_in_bytes=str(2 * GIB), memory__usage_in_bytes=str(GIB))
    assert resources.usable_cores(*places) == 1  # half a core still runs one thread
    assert resources.available_memory(*places) == GIB and resources.total_memory(*places) == 2 * GIB


def test_no_limit_is_none(places: tuple[Path, Path]) -> None:
    """As the first kind writes it: a number beyond any memory, and -1."""
    proc, groups = places
    put(proc / "self", cgroup="5:cpu:/\n4:memory:/")
    put(groups / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    put(groups / "memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes=str(GIB))
    assert resources.usable_cores(*places) == 16 and resources.available_memory(*places) == 48 * GIB


def test_an_affinity_counts(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert resources.usable_cores(*places) == 1


def test_where_nothing_is_told_memory_is_not_known(tmp_path: Path) -> None:
    assert resources.available_memory(tmp_path, tmp_path) is None


def test_runs_side_by_side_fit_cores_and_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "usable_cores", lambda: 4)
    for memory, fitting in ((None, 4), (100 * GIB, 4), (int(3.5 * GIB), 2), (1, 1)):
        monkeypatch.setattr(local, "available_memory", lambda memory=memory: memory)
        assert local.fitting_workers() == fitting
    assert capsys.readouterr().err.splitlines() == [
        "memory is short: 2 runs side by side, not 4", "memory is short: 1 runs side by side, not 4"
    ]  # fmt: skip
