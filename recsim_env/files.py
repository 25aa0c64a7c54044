"""Files and folders that are whole or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recsim_env.errors import RunFolderError

LOCK = ".lock"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file or folder at; it takes `path`'s place when the block ends, or is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    remove(aside)
    try:
        yield aside
        if path.is_dir():  # which nothing can be renamed to while it holds something
            os.rename(path, old)
        os.replace(aside, path)
    finally:
        remove(aside)
        if old.exists() and not path.exists():
            os.rename(old, path)
        remove(old)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else works in this folder meanwhile.

    Raises:
        RunFolderError: somebody does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunFolderError(
            f"{folder} is in use by another process; wait for it or choose another folder with --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def remove(path: Path) -> None:
    """Remove a file or folder where there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
