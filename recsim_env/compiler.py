"""From a scenario's verbs to its loop, compiled or plain."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from recsim_env.compiled_streams import chain_compiled
from recsim_env.link import JIT, Jit, link
from recsim_env.loop import Loop, Mode, build_loop
from recsim_env.rehearsal import rehearse_once
from recsim_env.scenario import Scenario, Verbs
from recsim_env.source import check_source
from recsim_env.streams import chain


def identity(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def plain_chain(key: Any, link: int) -> np.uint64:
    return np.uint64(chain(key, link))


@cache
def without_wrappers(jit: Jit) -> Jit:
    """For functions that only compiled code calls: what Python would call them through costs compile time."""
    return partial(jit, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@cache
def loop_of_verbs(verbs: Verbs, jit: Jit | None) -> Loop:
    if jit is None:
        return build_loop(verbs, Mode(identity, identity, plain_chain))
    inner = without_wrappers(jit)
    linked = Verbs(*(link(verb, inner) for verb in verbs))
    return build_loop(linked, Mode(inner, partial(inner, forceinline=True), chain_compiled))


def loop_of(scenario: Scenario, jit: Jit | None = JIT) -> Loop:
    """The scenario's loop: compiled (kept for the class's verbs), or plain Python with `jit=None`.

    Raises:
        ScenarioError: a mistake in the verbs that shows before they are compiled.
    """
    if jit is not None:
        check_source(scenario)
        rehearse_once(scenario)
    return loop_of_verbs(type(scenario).verbs(), jit)
