"""Python that a folder names: what somebody else may have written imports nothing, unless it is trusted.

Run folders hold plain values, and some of them are names: of a world's or an agent's file, of a chat model's class.
To import what they name is to run it. What the command line named has been imported before, and may be named again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from recsim_env.errors import UntrustedCode

_source: ContextVar[Path | None] = ContextVar("source", default=None)
_trusted: ContextVar[bool] = ContextVar("trusted", default=False)


@contextmanager
def told_by(source: Path) -> Iterator[None]:
    """In this block names come from a file, which nobody on the command line wrote."""
    before = _source.set(source)
    try:
        yield
    finally:
        _source.reset(before)


@contextmanager
def trusting() -> Iterator[None]:
    """In this block whatever a folder names is imported."""
    before = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(before)


def check_import(name: str) -> None:
    """Whether a file or module may be imported that is not yet.

    Raises:
        UntrustedCode: a file of a folder names it, and the folder is not trusted.
    """
    source = _source.get()
    if source is not None and not _trusted.get():
        raise UntrustedCode(
            f"{source} names Python code that would be imported, {name}; pass --trust if you trust whoever wrote "
            f"them both (in Python: with recsim_env.trust.trusting())"
        )
