"""What a process sets as torch's default dtype or device changes nothing of what an agent learns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.agents.learning import Case, trained

OBSERVATION = {
    "user": np.eye(5, dtype=np.float32),
    "candidates": np.tile(np.eye(2, dtype=np.float32), (5, 1, 1)),
    "response": np.zeros((5, 1, 2), np.float32),
}
FAMILIES = {"dqn": {"totals": False, "warm_up": 0.1}, "ncf": {"epochs": 1}, "sb3:DQN": {"totals": False}}


def shown(name: str) -> np.ndarray:
    """What an agent of a short training shows."""
    agent = trained(name, 0, Case(1300, FAMILIES[name]))
    return agent.act(OBSERVATION, np.random.default_rng(0)) if name == "sb3:DQN" else agent.scores(OBSERVATION)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("set_default", "other", "own"),
    [
        (torch.set_default_dtype, torch.float64, torch.float32),
        (torch.set_default_device, "meta", None),
    ],
)
def test_a_default_of_the_process_changes_nothing(
    name: str, set_default: Callable[[object], None], other: object, own: object
) -> None:
    expected = shown(name)
    set_default(other)
    try:
        assert np.array_equal(shown(name), expected)
    finally:
        set_default(own)
