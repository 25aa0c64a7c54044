"""Many simulated users: their state as arrays, and the loop over slices of them on threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import NumbaError

from recsim_env.compile_cache import compiled
from recsim_env.compiler import loop_of
from recsim_env.errors import InvalidAction, InvalidParameter, RewardError
from recsim_env.layout import build_layout
from recsim_env.link import CHECKED_JIT, JIT, Jit
from recsim_env.parameters import param, validate
from recsim_env.pool import ArrayPool
from recsim_env.rehearsal import compile_error
from recsim_env.resources import usable_cores
from recsim_env.scenario import Scenario
from recsim_env.state import LIFE, RESULT, State
from recsim_env.streams import STREAM, Purpose, chain_many, root_key

APART = 8  # streams of 16 bytes: 128 bytes
ENDED = ("over", "ended", "final", "ended_users")  # what a simulator remembers of sessions that ended
OBSERVE = ("partial", "full", "responses")
USERS_A_SLICE = 4096
MOST = 1e150  # that a session's rewards may add up to: means and intervals square it, and add
USERS_A_THREAD = 256  # below this a second thread costs more than it brings


@dataclass(frozen=True)
class Options:
    """How a world is watched and run; a scenario's parameters say what it is."""

    observe: str = param("partial", "'partial', 'full' with the hidden state, or 'responses' with nothing of the user")
    history: int = param(0, "how many past slates and responses an observation holds", low=0, high=10_000)
    totals: bool = param(False, "whether an observation holds the session's sums so far")
    purpose: Purpose = param(Purpose.TRAIN, "what the users are for; those of two purposes never meet")
    first_user: int = param(0, "place i is user first_user + i", low=0)
    threads: int = param(0, "threads for the loop; 0: as many as help", low=0, high=1024)
    jit: bool = param(True, "false: run the verbs as plain Python")

    def __post_init__(self) -> None:
        validate(self)
        if self.observe not in OBSERVE:
            raise InvalidParameter(f"Options.observe must be one of {', '.join(OBSERVE)}, not {self.observe!r}")


def as_array(action: Any) -> np.ndarray:
    """`action` as an array; raises `InvalidAction` where its parts have several lengths."""
    try:
        return np.asarray(action)
    except ValueError:
        raise InvalidAction(
            f"an action is an array of candidate positions, each slate of one length, not {action!r}"
        ) from None


@compiled
def within(slates: Any, count: int) -> bool:
    """Whether all positions lie in [0, count), in one pass without a branch; what is negative is huge as unsigned."""
    highest = np.uint64(0)
    for position in slates.flat:
        highest = max(highest, np.uint64(position))
    return bool(highest < np.uint64(count))


@cache
def executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="recsim-env")


if hasattr(os, "register_at_fork"):
    # A forked child has none of the parent's threads: it makes a pool of its own. A fork waits until no thread
    # compiles, since the child would wait for ever for the compiler's lock.
    os.register_at_fork(after_in_child=executor.cache_clear)
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def together(work: Callable[[], None], threads: int) -> None:
    """Call `work`, which takes pieces until none is left, on this thread and `threads - 1` others, and wait for them.

    While the interpreter shuts down it starts no work on other threads; then this thread takes all pieces.
    """
    others: list[Future[None]] = []
    with suppress(RuntimeError):
        for _ in range(threads - 1):
            others.append(executor(threads).submit(work))
    try:
        work()
    finally:
        for other in others:
            other.result()


def words(records: np.ndarray) -> np.ndarray:
    """The records' memory as 8-byte numbers, a row a record."""
    return records.view(np.float64).reshape(records.size, records.dtype.itemsize // 8)


class Simulator:
    """`n` users of a scenario.

    Args:
        scenario: the world.
        n: how many users.
        options: how it is watched and run.
        autoreset: whether a user's next session begins in the step that ended one.
        jit: another compiler, for checks; by default as `options.jit` says.

    Attributes:
        over: (n,) bool, whether a session ended at the last step; with `autoreset` only, as the next three.
        ended: (k,) int64 whose did.
        final: (k, width) float32 what was seen of them last.
        ended_users: (k,) their records, as they were then.
    """

    def __init__(self, scenario: Scenario, n: int, options: Options, *, autoreset: bool, jit: Jit | None = JIT) -> None:
        if n < 1:
            raise InvalidParameter(f"the number of users must be 1 or more, not {n}")
        self.scenario, self.n, self.options = scenario, n, options
        self.layout = build_layout(scenario, observe=options.observe, history=options.history, totals=options.totals)
        runs_compiled = options.jit and scenario.compiles
        self.me = scenario.compiled_self
        enough = min(usable_cores(), max(1, n // USERS_A_THREAD))
        self.threads = (options.threads or enough) if runs_compiled else 1
        self.slices = self._slices(n)
        self.state = self._new_state()
        self.autoreset = autoreset
        # Each slice's own, cache lines apart: threads that write to one line wait for each other.
        self.streams = np.zeros((len(self.slices), APART), STREAM)
        self.scratch = np.zeros((len(self.slices), scenario.scratch_size + 2 * APART))
        state = self.state._replace(items=scenario.fixed_items) if scenario.offer_is_fixed else self.state
        self.given = (self.me, *self.layout.plan, *state, self.streams, self.scratch)
        self.jit = jit if runs_compiled else None
        self.loop = loop_of(scenario, self.layout.form, self.given, self.jit)
        self._everyone = np.arange(n)
        self.over = np.zeros(n, bool)
        self._end(np.zeros((0, self.layout.width), np.float32), self._everyone[:0])
        self._rows = ArrayPool((n, self.layout.width), np.float32)
        self._results = ArrayPool((n,), RESULT)
        self._answers = ArrayPool((n, scenario.slate_size), scenario.response_dtype)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles are made of; not the loop, which knows its arrays by where they lie."""
        state = self.state._asdict().items()  # but what cannot be written, and views of other arrays
        arrays = {name: array for name, array in state if array.flags.writeable and array.base is None}
        ended = {name: getattr(self, name) for name in ENDED}
        how = {"autoreset": self.autoreset, "checked": self.jit is CHECKED_JIT}
        return {
            "scenario": self.scenario,
            "n": self.n,
            "options": self.options,
            **how,
            "arrays": arrays,
            "ended": ended,
        }

    def __setstate__(self, content: dict[str, Any]) -> None:
        """Users of their own who go on as the others would."""
        jit, autoreset = CHECKED_JIT if content["checked"] else JIT, content["autoreset"]
        Simulator.__init__(self, content["scenario"], content["n"], content["options"], autoreset=autoreset, jit=jit)
        for name, array in content["arrays"].items():
            getattr(self.state, name)[...] = array
        for name, array in content["ended"].items():
            setattr(self, name, array.copy())

    def _slices(self, users: int) -> list[tuple[int, int, int]]:
        """(first, one after the last, slot) of each slice; several a thread, so that a slow core gets fewer."""
        threads = min(self.threads, max(1, users // USERS_A_THREAD))
        if threads == 1:
            return [(0, users, 0)]
        pieces = threads * max(2, min(8, users // USERS_A_SLICE))
        edges = np.linspace(0, users, pieces + 1).astype(int).tolist()
        return [(low, high, slot) for slot, (low, high) in enumerate(pairwise(edges))]

    def _new_state(self) -> State:
        n, s = self.n, self.scenario
        users = np.zeros(n, s.user_dtype)
        items = s.fixed_items if s.offer_is_fixed else np.zeros((n, s.num_candidates), s.item_dtype)
        responses = np.zeros((n, s.slate_size), s.response_dtype)
        return State(
            users=users,
            items=np.broadcast_to(items, (n, s.num_candidates)) if s.offer_is_fixed else items,
            responses=responses,
            user_words=words(users),
            item_words=words(items),
            response_words=words(responses),
            slates=np.zeros((n, s.slate_size), np.int64),
            memory=np.zeros((n, self.layout.memory_width)),
            lives=np.zeros(n, LIFE),
            pending=np.zeros((n, s.reward_delay)),
        )

    def reset(self, seed: int | None) -> np.ndarray:
        """Start session 0 of the users of `seed`, or with None everybody's next session.

        Returns:
            (n, width) float32, the caller's own.
        """
        if seed is not None:
            users = np.arange(self.options.first_user, self.options.first_user + self.n, dtype=np.uint64)
            self.state.lives["root"] = chain_many(root_key(seed, self.options.purpose), users)
        rows = self._rows.take()
        self._run(self.loop.begin, self.slices, rows, self._everyone, int(seed is None))
        return rows

    def step(self, slates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Show `slates` (n, S) int64 of candidate positions.

        Returns:
            The observations (n, width) float32, the results (n,) RESULT and the responses (n, S), all the
            caller's own. With autoreset the next session of those whose session ended has begun.

        Raises:
            RewardError: a session's rewards so far reach `MOST`.
        """
        rows, results, answers = self._rows.take(), self._results.take(), self._answers.take()
        self._run(self.loop.step, self.slices, rows, slates, results, words(answers))
        reached = results["engagement"]
        if not (abs(reached.item()) if self.n == 1 else np.abs(reached).max()) < MOST:  # NaN is not below either
            raise overflow(self.scenario, results, self.options.first_user)
        if self.autoreset:
            self.over = results["terminated"] | results["truncated"]
            ended = self.over.nonzero()[0]
            if len(ended) or len(self.ended):
                self._end(rows, ended)
            if len(ended):
                self._run(self.loop.begin, self._slices(len(self.ended)), rows, self.ended, 1)
        return rows, results, answers

    def _end(self, rows: np.ndarray, ended: np.ndarray) -> None:
        """Remember who the users are whose session has just ended, how they are and what was seen of them last."""
        self.ended, self.final, self.ended_users = ended, rows.take(ended, 0), self.state.users.take(ended)

    def _run(self, entry: Callable[..., None], slices: list[tuple[int, int, int]], *arguments: Any) -> None:
        try:
            if len(slices) == 1:
                entry(*arguments, *slices[0])
                return
            # Each thread takes the next one, this thread too, since another's waking costs a tenth of a step.
            left = iter(slices)

            def work() -> None:
                for piece in left:
                    entry(*arguments, *piece)

            together(work, min(self.threads, len(slices)))
        except NumbaError as error:  # at the first call, which compiles
            raise compile_error(type(self.scenario), error) from error

    def check_slates(self, action: Any) -> np.ndarray:
        """`action` as (n, S) int64.

        Raises:
            InvalidAction: not whole numbers, another shape, or a position that no candidate has.
        """
        slates, count = as_array(action), self.scenario.num_candidates
        shape = (self.n, self.scenario.slate_size)
        if slates.dtype.kind not in "iu":
            raise InvalidAction(
                f"an action holds candidate positions, whole numbers from 0 to {count - 1} (an integer dtype), "
                f"not {' '.join(repr(action).split())}"
            )
        if slates.shape != shape and not (shape[1] == 1 and slates.shape == shape[:1]):
            raise InvalidAction(f"an action has the shape {shape} (users, places of the slate), not {slates.shape}")
        slates = np.ascontiguousarray(slates, np.int64 if slates.dtype.kind == "i" else None).reshape(shape)
        if not within(slates, count):
            wrong = slates[(slates < 0) | (slates >= count)].flat[0]
            raise InvalidAction(f"a slate holds candidate {wrong}, but there are {count} candidates (0 to {count - 1})")
        return np.ascontiguousarray(slates, np.int64).reshape(shape)


def overflow(scenario: Scenario, results: np.ndarray, first_user: int) -> RewardError:
    """Whose session earned what cannot be counted, and when."""
    sizes = np.abs(results["engagement"])
    worst = int(np.argmax(np.where(np.isnan(sizes), np.inf, sizes)))
    row = results[worst]
    return RewardError(
        f"{type(scenario).__name__}: the rewards of user {first_user + worst} add up to {row['engagement']:g} after "
        f"step {row['length']} of the session, where the last one is {row['reward']:g}, and must stay below "
        f"{MOST:g}, so that squares can be added up; bound what the world's reward grows with",
        worst,
    )
