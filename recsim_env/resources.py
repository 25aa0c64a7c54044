"""Cores and memory that this process may use: not the machine's, where an affinity or a container gives it less.

Control groups tell a container's limits (v2: memory.max, cpu.max; v1: memory.limit_in_bytes, cpu.cfs_quota_us); those
of a group hold for all that are below it, so that the least of a process's groups counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
LIMITS = ("memory.max", "memory.limit_in_bytes")
USED = ("memory.current", "memory.usage_in_bytes")


def usable_cores(proc: Path = PROC, groups: Path = GROUPS) -> int:
    """How many threads can run at a time: the affinity's cores, or fewer whole ones by a container's quota."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (quota_of(folder) for folder in folders("cpu", proc, groups))
    return max(1, int(min([known, *(quota for quota in quotas if quota)])))


def quota_of(folder: Path) -> float | None:
    """Cores that a group may use; None where it has no limit."""
    words = read(folder / "cpu.max").split() or [
        read(folder / f"cpu.cfs_{part}_us").strip() for part in ("quota", "period")
    ]
    quota, period = (number(word) for word in words[:2])
    return quota / period if quota and period else None


def total_memory(proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Bytes that this process could have with others gone: the machine's, or a container's limit; None: not known."""
    limits = (limit_of(folder) for folder in folders("memory", proc, groups))
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None
    known = [bytes_ for bytes_ in (meminfo("MemTotal", proc) or pages, *limits) if bytes_ is not None]
    return min(known, default=None)


def available_memory(proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Bytes that this process can still take: files in the page cache do not count as used.

    None where the system does not tell it.
    """
    rooms = (room_of(folder) for folder in folders("memory", proc, groups))
    known = [bytes_ for bytes_ in (meminfo("MemAvailable", proc), *rooms) if bytes_ is not None]
    return min(known, default=None)


def limit_of(folder: Path) -> int | None:
    """A group's limit of memory in bytes; None where it has none."""
    return next((limit for name in LIMITS if (limit := number(read(folder / name)))), None)


def room_of(folder: Path) -> int | None:
    """What a group's limit leaves, files in the page cache not counted as used; None where it has no limit."""
    limit = limit_of(folder)
    if limit is None:
        return None
    used = next((bytes_ for name in USED if (bytes_ := number(read(folder / name)))), 0)
    told = dict(line.split()[:2] for line in read(folder / "memory.stat").splitlines() if len(line.split()) == 2)
    cached = number(told.get("total_inactive_file", told.get("inactive_file", ""))) or 0
    return max(0, limit - max(0, used - cached))


def folders(controller: str, proc: Path, groups: Path) -> Iterator[Path]:
    """The folders of this process's groups that a controller has, from its own up to the root's.

    In a container the path that /proc tells may be the host's, and what lies at the mount's root is the container's.
    """
    for line in read(proc / "self" / "cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        mount = groups / (controller if names else "")
        own = mount / path.strip("/")
        above = [own, *own.parents]
        yield from above[: above.index(mount) + 1]


def meminfo(name: str, proc: Path) -> int | None:
    """A line of /proc/meminfo in bytes."""
    lines = (line.split() for line in read(proc / "meminfo").splitlines())
    return next((1024 * int(words[1]) for words in lines if words[:1] == [f"{name}:"]), None)


def read(path: Path) -> str:
    """A file's text, empty where there is none."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def number(text: str) -> int | None:
    """A whole number; None for "max", or a text that is none."""
    return int(text) if text.strip().lstrip("-").isdigit() and int(text) > 0 else None
