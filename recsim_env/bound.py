"""Arguments that are the same in every call, looked at by numba once.

At each call from Python numba asks each argument for its type and its memory. For the loop's arguments that takes
several times as long as a step of one user, so they are kept as the bytes that compiled code works with.

Nobody counts references to arrays there: a count is an atomic operation, numba makes some for each array and each call,
and threads wait for each other at them. The caller keeps the arrays alive.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from recsim_env.compile_cache import compiled

typeof: Any = numba.typeof  # numba says no types of it


def without_counter(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The same array (or tuple with arrays) with no memory information to count references in."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        for counted in ("meminfo", "parent"):
            nothing = cgutils.get_null_value(getattr(array, counted).type)  # type: ignore[no-untyped-call]
            setattr(array, counted, nothing)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        parts: tuple[Any, ...] = tuple(kind)  # type: ignore[arg-type]
        for i, part in enumerate(parts):
            element = without_counter(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, element, i)
    return value


@intrinsic
def borrow(typing_context: Any, value: Any) -> Any:
    """`value`, an array or a tuple with arrays, uncounted. Only while its owner keeps it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return without_counter(context, builder, value, arguments[0])

    return value(value), generate


@intrinsic
def put(typing_context: Any, memory: Any, value: Any) -> Any:
    """Write compiled code's form of `value`, a tuple, into memory: addresses, shapes and numbers, without counters."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = without_counter(context, builder, value, arguments[1])
        builder.store(held, address(context, builder, memory, arguments[0], held.type))
        return context.get_dummy_value()

    return types.void(memory, value), generate


uncounted: Any = borrow  # as compiled code calls them, without the first argument
write: Any = put


@cache
def reader(kind: types.Type) -> Any:
    """An intrinsic that gives the tuple of type `kind` that `put` wrote."""

    @intrinsic
    def get(typing_context: Any, memory: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            form = context.get_value_type(kind)
            value = builder.load(address(context, builder, memory, arguments[0], form))
            return without_counter(context, builder, kind, value)  # said again, so that the compiler knows it

        return kind(memory), generate

    return get


def address(context: Any, builder: Any, kind: Any, memory: Any, form: ir.Type) -> Any:
    """Where the memory begins, as a pointer to `form`."""
    data = context.make_array(kind)(context, builder, memory).data
    return builder.bitcast(data, form.as_pointer())


def size_of(kind: types.Type) -> int:
    """Bytes that `put` writes of a value of this type."""
    context = cpu_target.target_context
    return int(context.get_abi_sizeof(context.get_value_type(kind)))


@compiled
def keep(memory: Any, given: Any) -> None:
    write(memory, given)


def in_memory(given: tuple[Any, ...]) -> np.ndarray:
    """The tuple as `put` writes it, for `reader(typeof(given))`; the caller keeps its arrays alive."""
    memory = np.zeros(size_of(typeof(given)), np.uint8)
    keep(memory, given)
    return memory
