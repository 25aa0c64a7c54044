"""What a loop is compiled for: worlds that differ in parameters alone share it."""

from __future__ import annotations

from typing import Any

import pytest

from recsim_env.form import Form
from recsim_env.registration import find_world
from recsim_env.simulator import Options, Simulator


def simulator_of(options: dict[str, Any] | None = None, **parameters: Any) -> Simulator:
    world = find_world("interest_evolution").make(**parameters)
    return Simulator(world, 2, Options(**options or {}), autoreset=True)


def form_of(options: dict[str, Any] | None = None, **parameters: Any) -> Form:
    return simulator_of(options, **parameters).layout.form


@pytest.mark.parametrize("parameters", [{"num_candidates": 50}, {"drift": 0.1, "best_quality": 2.0}, {"horizon": 7}])
def test_worlds_that_differ_in_parameters_share_machine_code(parameters: dict[str, Any]) -> None:
    ours, theirs = simulator_of(), simulator_of(**parameters)
    assert ours.layout.form == theirs.layout.form
    assert all(a.func is b.func for a, b in zip(ours.loop, theirs.loop, strict=True))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"totals": True}, {}),
        ({"history": 2}, {}),
        ({"observe": "full"}, {}),
        ({"observe": "responses"}, {}),
        ({}, {"slate_size": 2}),
        ({}, {"noise": 0.1}),
        ({}, {"reward_delay": 2}),
    ],
)
def test_what_is_seen_or_done_otherwise_is_another_form(options: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert form_of(options, **parameters) != form_of()
