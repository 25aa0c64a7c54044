"""A plain function compiled together with the plain functions that it names."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numba

from recsim_env.fingerprint import digest_here

Jit = Callable[..., Any]

# One wrapper a mode, since `link` and `compiled_loop` keep what they made by it.
JIT: Jit = partial(numba.njit, nogil=True)
CHECKED_JIT: Jit = partial(numba.njit, nogil=True, boundscheck=True)


def link(function: Callable[..., Any], jit: Jit) -> Callable[..., Any]:
    """`function` compiled with every plain function that it names, recursively.

    Authors write no decorator, and the same text runs as plain Python. It is compiled again where it, or anything that
    it names, was defined anew since.
    """
    if not isinstance(function, types.FunctionType):
        return function  # compiled already, or a built-in
    return linked(function, digest_here(function), jit)


@cache
def linked(function: types.FunctionType, digest: str, jit: Jit) -> Callable[..., Any]:
    """The function as it is now, which `digest` tells from what it was before."""
    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        if isinstance(names.get(name), types.FunctionType):
            names[name] = link(names[name], jit)
    copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    return jit(copy)
