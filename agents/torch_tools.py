"""What the agents with networks share: the device, threads, and weights as plain arrays."""

from __future__ import annotations

import ctypes
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from recsim_env.errors import InvalidParameter

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of mallopt's parameters in malloc.h


def find_device(name: str) -> torch.device:
    """The device; "auto" is CUDA where there is one.

    Raises:
        InvalidParameter: an unknown device, or CUDA where there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidParameter("device 'cuda' was asked for, but torch sees no CUDA device; use 'cpu' or 'auto'")
    if name not in ("cpu", "cuda"):
        raise InvalidParameter(f"device must be auto, cpu or cuda, not {name!r}")
    return torch.device(name)


@contextmanager
def one_thread() -> Iterator[None]:
    """Small networks, and small products of numpy, run faster and give the same bits everywhere on one thread.

    Freed memory is kept for the next step (see `keep_freed_memory`).
    """
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Let torch make float32 tensors on the processor, where nothing else is said, whatever the process has set."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


def under_torch_defaults(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method`, run under `torch_defaults`; as it is where the process has set nothing else."""

    @wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        if torch.get_default_dtype() is torch.float32 and torch.get_default_device().type == "cpu":
            return method(*args, **kwargs)
        with torch_defaults():
            return method(*args, **kwargs)

    return run


class TorchDefaults:
    """A base of agents with networks: a default dtype or device that the process has set does not reach them.

    Libraries for Bayesian optimisation and physics ask for float64 as the default of the whole process.
    """

    ENTRIES = ("__init__", "train", "fit", "act", "scores", "restore")  # what is called from outside

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.ENTRIES:
            if name in vars(cls):
                setattr(cls, name, under_torch_defaults(vars(cls)[name]))


@cache
def keep_freed_memory() -> None:
    """Let C's allocator keep what is freed, where it is glibc's; from then on, and of this process.

    A step of learning allocates and frees some megabytes many times. Given back to the system, they come again page by
    page, which takes longer than the sums that are done there.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 32 << 20)  # the most that glibc takes
        mallopt(TRIM_THRESHOLD, 512 << 20)


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """The network's parameters and buffers."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def set_weights(network: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Take over what `weights_of` gave; other names in `arrays` are left alone."""
    names = network.state_dict().keys()
    network.load_state_dict({name: torch.from_numpy(np.array(arrays[name])) for name in names})


def moments_of(optimiser: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """An optimiser's state as arrays, by names that start with `optimiser_`."""
    return {
        f"optimiser_{index}_{name}": value.detach().cpu().numpy()
        for index, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def set_moments(optimiser: torch.optim.Optimizer, arrays: Mapping[str, np.ndarray]) -> None:
    """Take over what `moments_of` gave; without any the optimiser starts anew."""
    content = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in arrays.items():
        if key.startswith("optimiser_"):
            _, index, name = key.split("_", 2)
            state.setdefault(int(index), {})[name] = torch.from_numpy(np.array(value))
    optimiser.load_state_dict({**content, "state": state})


def seeded(seed: int, device: torch.device) -> torch.Generator:
    """A generator of its own, so that nothing draws from torch's global one."""
    return torch.Generator(device=device).manual_seed(seed)


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """For libraries that draw from the global generators: seeds them, and puts them back as they were."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - to put it back
    with torch.random.fork_rng():
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.manual_seed(seed)
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002


class Dropout(nn.Module):
    """Dropout (Srivastava et al., 2014) from a generator of its own; torch's draws from the global one."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate, self.generator = rate, generator

    def forward(self, x: Tensor) -> Tensor:
        """`x`, with a share of its numbers zero while training."""
        if not self.training or self.rate == 0.0:
            return x
        kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.rate
        return x * kept / (1.0 - self.rate)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation (He et al., 2015) of all matrices, zeros for biases, from a generator of its own."""
    for value in network.parameters():
        with torch.no_grad():
            if value.ndim > 1 and value.numel():  # what is of width 0 has nothing to draw
                value.normal_(0.0, (2.0 / value[0].numel()) ** 0.5, generator=generator)
            else:
                value.zero_()
