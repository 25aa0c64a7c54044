"""Arguments that are the same in every call, looked at by numba once.

At each call from Python numba asks each argument for its type and its memory. For the loop's arguments that takes
several times as long as a step of one user, so they are kept as the bytes that compiled code works with.

Nobody counts references to arrays there: a count is an atomic operation, numba makes some for each array and each call,
and threads wait for each other at them. The caller keeps the arrays alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain
from struct import pack
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

typeof: Any = numba.typeof  # numba says no types of it
FORMATS = {bool: "?", int: "q", float: "d"}
NOBODY = 0  # who counts references, and who owns the memory


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


uncounted: Any = borrow  # as compiled code calls it, without the first argument


@cache
def reader(kind: types.Type) -> Any:
    """An intrinsic that gives the tuple of type `kind` that `in_memory` wrote."""

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


def laid_out(value: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Formats of `struct` and what they hold, in the order in which compiled code expects the parts of a value."""
    if isinstance(value, tuple):
        yield "0q", ()  # a tuple begins and ends at a word of 8 bytes
        for part in value:
            yield from laid_out(part)
        yield "0q", ()
    elif isinstance(value, np.ndarray):
        yield "4q", (NOBODY, NOBODY, value.size, value.itemsize)
        yield f"{1 + 2 * value.ndim}q", (value.ctypes.data, *value.shape, *value.strides)
    elif isinstance(value, np.void):
        yield "q", (value.__array_interface__["data"][0],)
    else:
        yield FORMATS[type(value)], (value,)


def in_memory(given: tuple[Any, ...]) -> np.ndarray:
    """The tuple's bytes, for `reader(typeof(given))`: addresses, shapes and numbers; the caller keeps its arrays alive.

    Args:
        given: of arrays, records, numbers, truths, and tuples of these. Compiled code that wrote it there would
            take longer to compile than a verb.
    """
    formats, held = zip(*laid_out(given), strict=True)
    return np.frombuffer(pack("".join(formats), *chain.from_iterable(held)), np.uint8).copy()
