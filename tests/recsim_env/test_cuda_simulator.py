"""The loop on a GPU: every world's verbs compile for one; where there is one, users meet there what they meet here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from recsim_env.cuda_simulator import CudaSimulator, kernels_of
from recsim_env.layout import build_layout
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator, words
from recsim_env.state import RESULT
from recsim_env.streams import STREAM
from tests.worlds import data_free_scenarios, data_free_worlds

HOPPER = (9, 0)
USERS, STEPS = 2000, 40


def host_arguments(world: Scenario, options: Options) -> tuple[tuple[Any, ...], ...]:
    """What both kernels are called with, as arrays of the processor: their types are the same."""
    here = Simulator(world, 1, options, autoreset=True)
    rows, flags = np.zeros((1, here.layout.width), np.float32), np.zeros(1, bool)
    given = (here.me, *here.layout.plan, *here.state, np.zeros((1, 1), STREAM), np.zeros((1, 1)))
    slates, answers = np.zeros((1, world.slate_size), np.int64), np.zeros((1, world.slate_size), world.response_dtype)
    told = (np.zeros(1, RESULT), words(answers), np.zeros(1, np.float32), flags, flags)
    who, final = np.zeros(1, np.int64), np.zeros_like(rows)
    return (given, who, rows, 0), (given, who, rows, slates, final, *told)


@pytest.mark.parametrize("name", data_free_scenarios())
def test_every_world_compiles_for_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    from numba import cuda
    from numba.cuda import dispatcher
    from numba.cuda.typing.typeof import typeof

    if not torch.cuda.is_available():  # functions within a kernel ask which device they are for
        monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=HOPPER))
    world, options = find_world(name).make(), Options(totals=True, history=2)
    layout = build_layout(world, observe=options.observe, history=options.history, totals=options.totals)
    kernels = kernels_of(type(world).verbs(), "", layout.form)
    arguments = host_arguments(world, options)
    for kernel, given in zip(kernels, arguments, strict=True):
        text, _ = cuda.compile_ptx(kernel.py_func, tuple(typeof(part) for part in given), cc=HOPPER)
        assert ".entry" in text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
@pytest.mark.parametrize("name", data_free_worlds())
def test_users_meet_the_same_on_a_gpu(name: str) -> None:
    world, options = find_world(name).make(), Options(totals=True, history=2)
    here = Simulator(world, USERS, options, autoreset=True)
    there = CudaSimulator(world, USERS, options)
    rng = np.random.default_rng(0)
    same = np.isclose(here.reset(3), there.reset(3).cpu().numpy(), rtol=1e-5, atol=1e-5).all(axis=1)
    for _ in range(STEPS):
        slates = rng.random((USERS, world.num_candidates)).argsort(axis=1)[:, : world.slate_size]
        rows, results, _ = here.step(slates)
        stepped = there.step(torch.as_tensor(slates, device="cuda"))
        same &= np.isclose(rows, stepped.rows.cpu().numpy(), rtol=1e-4, atol=1e-4).all(axis=1)
        same &= np.isclose(results["reward"], stepped.rewards.cpu().numpy(), rtol=1e-4, atol=1e-4)
        same &= results["terminated"] == stepped.terminated.cpu().numpy()
    assert same.mean() > 0.998  # a choice may hang by the last digit of an exponential
