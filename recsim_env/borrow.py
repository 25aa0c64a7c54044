"""Compiled code works on arrays that somebody else keeps alive, without counting references to them.

A count is an atomic operation: numba makes some for each array and each call, they cost more than the work of
a user-step, and threads wait for each other at them.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


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
