"""Updates are counted for every optimiser, also those that call no hook."""

from __future__ import annotations

import torch

from benchmark.run import counted_updates


def stepped(optimiser: torch.optim.Optimizer, times: int) -> None:
    for _ in range(times):
        for parameter in optimiser.param_groups[0]["params"]:
            parameter.grad = torch.ones_like(parameter)
        optimiser.step()


def test_steps_are_counted_from_the_beginning_of_the_block() -> None:
    goes_on, begins = (torch.optim.AdamW([torch.zeros(2), torch.zeros(3)]) for _ in range(2))
    uncounted = torch.optim.SGD([torch.zeros(2)], 0.1)  # it keeps no count of its own
    stepped(goes_on, 5)
    with counted_updates() as updates:
        assert updates() == 0
        for optimiser, times in ((goes_on, 3), (begins, 2), (uncounted, 4)):
            stepped(optimiser, times)
        assert updates() == 3 + 2 + 4
        for state in begins.state.values():  # as a graph that is replayed does
            state["step"] += 10
        assert updates() == 3 + 12 + 4
