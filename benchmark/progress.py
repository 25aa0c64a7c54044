"""How far a piece of work is: a bar on a terminal, elsewhere a line for each thing done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Tell = Callable[[str, int, int], None]  # what is done or being done, how many are, of how many


@contextmanager
def counted() -> Iterator[Tell]:
    """A way to tell what is done, of how much."""
    live = sys.stdout.isatty()
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), disable=not live)
    task = bars.add_task("", total=1)

    def tell(what: str, done: int, count: int) -> None:
        bars.update(task, description=what, completed=done, total=count)
        if not live:
            print(f"[{done:,}/{count:,}] {what}", flush=True)

    with bars:
        yield tell
