"""Files and folders that are whole or absent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recsim_env.errors import RunFolderError

LOCK = ".lock"


@contextmanager
def whole(path: Path, mark: str = "") -> Iterator[Path]:
    """A name beside `path` to write a file or folder at; it takes `path`'s place when the block ends, or is removed.

    Args:
        path: where it shall be.
        mark: of a folder, a file in it by which an earlier one is known to be ours; only such a one is replaced.

    Raises:
        RunFolderError: before the block, where something else is there (see `check_place`).
    """
    check_place(path, mark)
    made(path.parent)
    aside, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    remove(aside)
    try:
        yield aside
        check_place(path, mark)  # a long block may have seen somebody come
        if path.is_dir():  # which nothing can be renamed to while it holds something
            os.rename(path, old)
        os.replace(aside, path)
    finally:
        remove(aside)
        if old.exists() and not path.exists():
            os.rename(old, path)
        remove(old)


def check_place(path: Path, mark: str = "") -> None:
    """Whether a file can be written at `path`, or a folder where there is a `mark` (see `whole`); makes nothing.

    Raises:
        RunFolderError: a file would replace a folder, a folder something that is not ours, or nothing can be written.
    """
    try:
        near = next(folder for folder in path.absolute().parents if folder.exists())
        with tempfile.TemporaryFile(dir=near):
            pass
        present, ours = path.exists(), path.is_dir() and (not any(path.iterdir()) or (path / mark).is_file())
    except OSError as error:
        raise unwritable(path, error) from None
    if mark and present and not ours:
        raise RunFolderError(
            f"{path} exists and is no folder with a file {mark}, as this command leaves; choose another, or remove it"
        )
    if not mark and present and not path.is_file():
        what = "folder" if path.is_dir() else "device or pipe"
        raise RunFolderError(f"{path} is a {what}, and a file is to be written; name a file")


def made(folder: Path) -> Path:
    """The folder, with those above it.

    Raises:
        RunFolderError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    return folder


def unwritable(path: Path, error: OSError) -> RunFolderError:
    """What the system refused, in one line."""
    return RunFolderError(f"{path} cannot be written: {error.strerror or error}; choose another place")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else works in this folder meanwhile.

    Raises:
        RunFolderError: somebody does.
    """
    lock = FileLock(made(folder) / LOCK)
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
