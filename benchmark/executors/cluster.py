"""A Ray cluster, or Ray on this machine: the same run folders, and evaluations in slices of users.

What a worker makes comes back as files, so that machines share no disk. Each user's luck is their own, so slices that
different workers play compose to what one process gives.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmark.evaluation import Block, Evaluation, blocks_of, evaluation_of, play_block
from benchmark.executors.execution import TRIES, Progress, Todo, WorkerDied
from benchmark.executors.local import listening
from benchmark.run import Run, aside, execute, failure_of, load
from recsim_env.agent import Agent
from recsim_env.errors import RecSimError
from recsim_env.files import remove
from recsim_env.streams import Purpose
from recsim_env.trust import trusting

T = TypeVar("T")
LoadAgent = Callable[[Run], Agent]  # of a run's settings, where it is needed
Files = Mapping[str, bytes]  # by their place below a folder


@dataclass(frozen=True)
class Ray:
    """Workers of a Ray cluster.

    Attributes:
        address: of a running cluster, as host:port or `auto`; "" starts one on this machine.
        workers: tasks side by side on this machine; 0: one a core. A cluster knows its own.
    """

    address: str = ""
    workers: int = 0

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """The module `ray`, connected; what was started here ends.

        Raises:
            RecSimError: ray is not installed, or no cluster answers.
        """
        try:
            import ray
        except ImportError:
            raise RecSimError("--executor ray needs Ray: pip install 'recsim-env[ray]'") from None
        ours = not ray.is_initialized()
        if ours:
            here: dict[str, Any] = {"num_cpus": self.workers or None, "include_dashboard": False}
            here["_node_ip_address"] = "127.0.0.1"  # nobody else is to reach it
            try:
                ray.init(**({"address": self.address} if self.address else here), log_to_driver=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise RecSimError(f"no Ray cluster at {self.address or 'this machine'}: {error}") from None
        try:
            yield ray
        finally:
            if ours:
                ray.shutdown()

    def run(self, todo: Todo, out: Path, progress: Progress) -> None:
        """See `Executor`; Ray itself tries again what a dead worker left."""
        with self.connected() as ray:
            from ray.util.queue import Queue

            queue = Queue()
            task = ray.remote(num_cpus=1, max_retries=TRIES)(run_elsewhere)
            with listening(queue, progress.update):
                pending = {task.remote(i, run, queue): (i, run) for i, run in todo}
                while pending:
                    (ready, *_), _ = ray.wait(list(pending), num_returns=1)
                    i, run = pending.pop(ready)
                    try:
                        files = ray.get(ready)
                    except ray.exceptions.WorkerCrashedError:
                        raise WorkerDied("a worker of the cluster was killed") from None
                    put_files(files, run.folder(out))
                    progress.done(i, failure_of(run.folder(out)))

    def evaluate(self, agent: Agent, run: Run, purpose: Purpose = Purpose.TEST) -> Evaluation:
        """As `benchmark.evaluation.evaluate`, a task a block of users."""
        blocks = blocks_of(run.world(), run.users)
        parts = list(self.with_agent(agent, play_elsewhere, [(run, block, purpose) for block in blocks]))
        return evaluation_of(parts, run.seed)

    def with_agent(self, agent: Agent, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """What `function` gives for each of the tasks' arguments, before them a way to get the agent there.

        In their order; results wait in memory of two tasks a core at most.
        """
        with tempfile.TemporaryDirectory() as folder, self.connected() as ray:
            agent.save(Path(folder))
            files, task = ray.put(files_in(Path(folder))), ray.remote(num_cpus=1, max_retries=TRIES)(call_elsewhere)
            most, waiting = 2 * max(1, int(ray.cluster_resources().get("CPU", 1))), deque[Any]()
            for arguments in tasks:
                if len(waiting) == most:
                    yield ray.get(waiting.popleft())
                waiting.append(task.remote(function, files, arguments))
            while waiting:
                yield ray.get(waiting.popleft())


def call_elsewhere(function: Callable[..., T], files: Files, arguments: tuple[Any, ...]) -> T:
    """Call a function with a way to get the agent of some files."""

    def get(run: Run) -> Agent:
        with tempfile.TemporaryDirectory() as folder:
            put_files(files, Path(folder) / "agent")
            with trusting():  # whoever sent it has loaded or made it before
                return load(run, run.world(), Path(folder) / "agent")

    return function(get, *arguments)


def run_elsewhere(number: int, run: Run, queue: Any) -> Files:
    """Execute a run in a folder of this machine, and give what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        execute(run, Path(folder), lambda step, scalars: queue.put((number, step, scalars)), threads=1)
        return files_in(run.folder(Path(folder)))


def play_elsewhere(get: LoadAgent, run: Run, block: Block, purpose: Purpose) -> Evaluation:
    """Play a block of users."""
    return play_block(get(run), block, run.seed, purpose, threads=1, observe=run.observe)


def files_in(folder: Path) -> Files:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_files(files: Files, folder: Path) -> None:
    """Write them all, or none."""
    part = aside(folder)
    remove(part)
    for name, content in files.items():
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    part.rename(folder)
