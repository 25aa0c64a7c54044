"""An executor by name."""

from __future__ import annotations

from benchmark.executors.cluster import Ray
from benchmark.executors.local import Local
from recsim_env.errors import InvalidParameter, unknown


def executor_named(name: str, workers: int, address: str) -> Local | Ray:
    """`local` or `ray`.

    Raises:
        UnknownName: neither of them. InvalidParameter: an address that does not go with it, or fewer than no workers.
    """
    if workers < 0:
        raise InvalidParameter(f"--workers must be 0 (one a core) or more, not {workers}")
    if name not in ("local", "ray"):
        raise unknown("executor", name, ("local", "ray"))
    if name == "local" and address:
        raise InvalidParameter(f"--address {address} goes with --executor ray")
    if address and workers:
        raise InvalidParameter(f"--workers {workers}: the cluster at {address} knows its own workers")
    return Ray(address, workers) if name == "ray" else Local(workers)
