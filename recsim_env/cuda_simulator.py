"""Many simulated users on a GPU: the scenario's own verbs, compiled by numba-cuda, a thread a user.

Luck is by user, so that a user meets the same on a GPU as on the processor, up to the rounding of exp, log and powers:
where a choice hangs by such a digit, two lives part. What an exception in a verb would tell is not told here: try a
scenario on the processor first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from numba.core.errors import NumbaError
from torch import Tensor

from recsim_env.compiled_streams import compile_streams
from recsim_env.compiler import identity
from recsim_env.errors import InvalidAction, InvalidParameter, RecSimError
from recsim_env.fingerprint import digest_here
from recsim_env.form import Form
from recsim_env.link import link
from recsim_env.loop import build_loop
from recsim_env.rehearsal import compile_error
from recsim_env.scenario import Scenario, Verbs
from recsim_env.seeing import Mode as LoopMode
from recsim_env.simulator import Options, Simulator
from recsim_env.state import LIFE, RESULT
from recsim_env.streams import STREAM, chain_many, root_key

THREADS = 128  # of a block; registers, not this, decide how many users are at work at a time
WORDS = {"users": "user_words", "items": "item_words", "responses": "response_words"}  # the same memory


class Kernels(NamedTuple):
    """The loop's entry points on a GPU, for all users."""

    begin: Any
    step: Any


class Stepped(NamedTuple):
    """What a step brought, on the GPU and the caller's own.

    Attributes:
        rows: (n, width) float32 observations; `CudaSimulator.layout` splits them by key.
        rewards: (n,) float32.
        terminated, truncated: (n,) bool.
        answers: (n, S, words) float64: the responses' memory.
    """

    rows: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    answers: Tensor


def numba_cuda() -> Any:
    """The compiler.

    Raises:
        RecSimError: it is not installed.
    """
    if find_spec("numba_cuda") is None:
        raise RecSimError("simulation on a GPU needs numba-cuda: pip install 'recsim-env[cuda]'")
    from numba import cuda

    return cuda


@cache
def device_compiler() -> tuple[Callable[..., Any], Any]:
    """What makes functions of a GPU, and the streams' chain made by it."""
    jit = partial(numba_cuda().jit, device=True)
    from numba.cuda.extending import overload_method  # type: ignore[attr-defined]

    return jit, compile_streams(jit, overload_method)


@cache
def kernels_of(verbs: Verbs, digest: str, form: Form) -> Kernels:
    """The loop for these verbs, which `digest` tells from what they were before, and this form, not compiled yet.

    Both kernels take the loop's arguments, all but the slice, as one.
    """
    cuda, (jit, chain) = numba_cuda(), device_compiler()
    linked = Verbs(*(link(verb, jit) for verb in verbs))
    begin, step = build_loop(linked, form, LoopMode(jit, jit, chain, tuple, jit(identity)))

    def begin_all(given: Any, who: Any, rows: Any, again: int) -> None:
        i = cuda.grid(1)
        if i < rows.shape[0]:
            begin(given, rows, who, again, i, i + 1, i)

    def step_all(
        given: Any, who: Any, rows: Any, slates: Any, final: Any, results: Any, answers: Any, rewards: Any, over: Any,
        cut: Any,
    ) -> None:  # fmt: skip
        i = cuda.grid(1)
        if i < rows.shape[0]:
            step(given, rows, slates, results, answers, i, i + 1, i)
            rewards[i], over[i], cut[i] = results[i].reward, results[i].terminated, results[i].truncated
            if over[i] or cut[i]:
                for k in range(rows.shape[1]):
                    final[i, k] = rows[i, k]
                begin(given, rows, who, 1, i, i + 1, i)

    return Kernels(cuda.jit(begin_all), cuda.jit(step_all))


class CudaSimulator:
    """`n` users of a scenario on the current GPU; the next session begins in the step that ended one.

    Args:
        scenario: the world.
        n: how many users.
        options: how it is watched; `threads` and `jit` are the processor's, and stay as they are.

    Attributes:
        layout: which columns of a row are which key.
        final: (n, width) float32: in rows of sessions that ended, their last observation, until the next step.

    Raises:
        RecSimError: numba-cuda is not installed, or there is no GPU.
        InvalidParameter: an option that changes nothing here.
    """

    def __init__(self, scenario: Scenario, n: int, options: Options | None = None) -> None:
        options = options or Options()
        if options.threads or not options.jit:
            raise InvalidParameter("on a GPU threads and jit change nothing; leave them out")
        if not torch.cuda.is_available():
            raise RecSimError("simulation on a GPU needs one that torch sees; use RecVectorEnv on the processor")
        host = Simulator(scenario, 1, options, autoreset=True)
        self.scenario, self.n, self.options, self.layout = scenario, n, options, host.layout
        verbs = type(scenario).verbs()
        self.kernels = kernels_of(verbs, digest_here(*verbs), self.layout.form)
        cuda = numba_cuda()
        tables = (to_device(cuda, part) for part in (host.me, *host.layout.plan))
        once = ("items", "item_words") if scenario.offer_is_fixed else ()
        shapes = {
            name: part.shape if name in once else (n * len(part), *part.shape[1:])
            for name, part in host.state._asdict().items()
        }
        kinds = {name: part.dtype for name, part in host.state._asdict().items()}
        memory = {name: zeros(shape, kinds[name]) for name, shape in shapes.items() if name not in WORDS}
        memory |= {name: memory[word] for name, word in WORDS.items()}
        if scenario.offer_is_fixed:
            memory["items"].copy_(torch.from_numpy(scenario.fixed_items.view(np.uint8).reshape(memory["items"].shape)))
        self.lives = memory["lives"]
        shared = (shared_as(cuda, memory[name], shape, kinds[name]) for name, shape in shapes.items())
        streams = shared_as(cuda, zeros((n, 1), STREAM), (n, 1), STREAM)
        scratch = torch.zeros((n, max(1, scenario.scratch_size)), dtype=torch.float64, device="cuda")
        self.given = (*tables, *shared, streams, cuda.as_cuda_array(scratch))
        self.results = shared_as(cuda, zeros((n,), RESULT), (n,), RESULT)
        self.final = torch.zeros((n, self.layout.width), dtype=torch.float32, device="cuda")
        self._everyone = cuda.to_device(np.arange(n))
        self._cuda, self._blocks = cuda, (n + THREADS - 1) // THREADS
        self._words = scenario.response_dtype.itemsize // 8

    def __reduce__(self) -> Any:
        raise RecSimError("users on a GPU cannot be copied or pickled: make a CudaSimulator where they are wanted")

    def reset(self, seed: int | None) -> Tensor:
        """Start session 0 of the users of `seed`, or with None everybody's next session; (n, width) float32."""
        if seed is not None:
            lives = np.zeros(self.n, LIFE)
            users = np.arange(self.options.first_user, self.options.first_user + self.n, dtype=np.uint64)
            lives["root"] = chain_many(root_key(seed, self.options.purpose), users)
            self.lives.copy_(torch.from_numpy(lives.view(np.uint8).reshape(self.n, LIFE.itemsize)))
        rows = torch.empty((self.n, self.layout.width), dtype=torch.float32, device="cuda")
        self._launch(self.kernels.begin, rows, int(seed is None))
        return rows

    def step(self, slates: Tensor) -> Stepped:
        """Show `slates` (n, S) int64 on the GPU, candidate positions in range.

        Raises:
            InvalidAction: another shape, dtype or device. Positions are not looked at.
        """
        shape = (self.n, self.scenario.slate_size)
        if slates.shape != shape or slates.dtype != torch.int64 or not slates.is_cuda:
            raise InvalidAction(f"slates are {shape} int64 on the GPU, not {tuple(slates.shape)} {slates.dtype}")
        rows = torch.empty((self.n, self.layout.width), dtype=torch.float32, device="cuda")
        answers = torch.empty((*shape, self._words), dtype=torch.float64, device="cuda")
        rewards = torch.empty(self.n, dtype=torch.float32, device="cuda")
        over, cut = (torch.empty(self.n, dtype=torch.bool, device="cuda") for _ in range(2))
        flat = answers.view(-1, self._words)
        self._launch(self.kernels.step, rows, slates.contiguous(), self.final, self.results, flat, rewards, over, cut)
        return Stepped(rows, rewards, over, cut, answers)

    def _launch(self, kernel: Any, *arguments: Any) -> None:
        shared = (self._cuda.as_cuda_array(x) if isinstance(x, Tensor) else x for x in arguments)
        try:
            kernel[self._blocks, THREADS](self.given, self._everyone, *shared)
        except NumbaError as error:  # at the first call, which compiles
            raise compile_error(type(self.scenario), error) from error


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    """(*shape, bytes) uint8: memory for records on the GPU."""
    return torch.zeros((*shape, dtype.itemsize), dtype=torch.uint8, device="cuda")


def shared_as(cuda: Any, memory: Tensor, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """The compiler's view of that memory."""
    return cuda.as_cuda_array(memory.view(-1)).view(dtype).reshape(*shape)


def to_device(cuda: Any, part: Any) -> Any:
    """An array, or a namedtuple of arrays and numbers, with the arrays on the GPU."""
    if isinstance(part, np.ndarray):
        return cuda.to_device(part)
    if isinstance(part, tuple):
        return type(part)(*(to_device(cuda, each) for each in part))
    return part
