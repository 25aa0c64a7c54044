"""From a scenario's verbs to its loop, compiled or plain."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from recsim_env.bound import in_memory, reader, typeof, uncounted
from recsim_env.compile_cache import kept
from recsim_env.compiled_streams import chain_compiled
from recsim_env.fingerprint import digest_here
from recsim_env.form import Form
from recsim_env.link import JIT, Jit, link
from recsim_env.loop import Loop, build_loop
from recsim_env.part import entries, parts
from recsim_env.rehearsal import rehearse_once
from recsim_env.scenario import Scenario, Verbs
from recsim_env.seeing import Mode
from recsim_env.source import check_source
from recsim_env.streams import chain


def identity(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def plain_chain(key: Any, link: int) -> np.uint64:
    return np.uint64(chain(key, link))


@cache
def plain_loop(verbs: Verbs, form: Form) -> Loop:
    return build_loop(verbs, form, Mode(identity, identity, plain_chain, identity, identity))


@cache
def compiled_loop(verbs: Verbs, digest: str, form: Form, kind: Any, jit: Jit) -> Loop:
    """The loop by a compiler; its first argument is memory that holds a tuple of numba's type `kind`.

    `digest` tells verbs whose helpers or constants were defined anew from what they were before.
    """
    part = parts(jit)
    linked = Verbs(*(link(verb, part) for verb in verbs))
    return build_loop(linked, form, Mode(kept(entries(jit)), part, chain_compiled, reader(kind), uncounted))


def play_plainly(verbs: Verbs, form: Form, given: tuple[Any, ...]) -> Loop:
    """The verbs' loop in plain Python, with its first argument."""
    return Loop(*(partial(entry, given) for entry in plain_loop(verbs, form)))


def loop_of(scenario: Scenario, form: Form, given: tuple[Any, ...], jit: Jit | None = JIT) -> Loop:
    """The scenario's loop with its first argument: compiled (kept for verbs as they are now, and form), or plain.

    Raises:
        ScenarioError: a mistake in the verbs that shows before they are compiled.
    """
    verbs = type(scenario).verbs()
    if jit is None:
        return play_plainly(verbs, form, given)
    digest = digest_here(*verbs)
    check_source(scenario, digest)
    rehearse_once(scenario, digest)
    memory = in_memory(given)
    loop = compiled_loop(verbs, digest, form, typeof(given), jit)
    return Loop(*(partial(entry, memory) for entry in loop))
