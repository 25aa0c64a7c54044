"""The streams' methods in compiled code, on the processor or on a GPU: the same text, equal bits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload_method

from recsim_env.link import JIT, Jit, link
from recsim_env.part import PART, parts
from recsim_env.streams import U_GOLDEN, beta, categorical, gamma, integer, lognormal, mix_bits, normal

Overload = Callable[..., Any]


def compile_streams(jit: Jit, overload: Callable[..., Callable[[Overload], Any]]) -> Any:
    """Give records the methods of `Stream`.

    Args:
        jit: compiles a function.
        overload: `overload_method` of the compiler.

    Returns:
        The compiled `chain`, of numbers of 64 bits.
    """
    mix = jit(mix_bits)

    @jit
    def chain(key: Any, link: Any) -> Any:
        return mix(key + U_GOLDEN * np.uint64(link + 1))

    @overload(types.Record, "rekey")
    def rekey_overload(rng: Any, base: Any, counter: Any) -> Any:
        def rekey(rng: Any, base: Any, counter: Any) -> None:
            key = chain(base, counter)
            rng.key = key
            rng.state = key

        return rekey

    @overload(types.Record, "at")
    def at_overload(rng: Any, position: Any) -> Any:
        def at(rng: Any, position: Any) -> Any:
            rng.state = rng.key + U_GOLDEN * (np.uint64(position + 1) << np.uint64(32))
            return rng

        return at

    @overload(types.Record, "uniform")
    def uniform_overload(rng: Any) -> Any:
        def uniform(rng: Any) -> float:
            rng.state = rng.state + U_GOLDEN
            return np.float64(mix(rng.state) >> np.uint64(11)) * 2.0**-53

        return uniform

    for distribution in (integer, normal, lognormal, gamma, beta, categorical):
        compile_as_written(distribution, jit, overload)
    return chain


def compile_as_written(method: Overload, jit: Jit, overload: Callable[..., Callable[[Overload], Any]]) -> None:
    """Compile a distribution from the very text that plain Python runs."""
    linked = link(method, jit).py_func  # type: ignore[attr-defined]

    def told(*types_of_arguments: Any) -> Any:
        return linked

    told.__signature__ = inspect.signature(linked)  # type: ignore[attr-defined]
    overload(types.Record, method.__name__)(told)


overload_with: Any = overload_method  # numba says nothing of its options
chain_compiled = compile_streams(parts(JIT), partial(overload_with, jit_options=PART))
