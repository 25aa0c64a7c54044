"""What is replayed as a CUDA graph computes what Python would have started, kernel by kernel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from agents.cuda_graphs import FIRST, Repeated
from agents.torch_tools import initialise, seeded

UPDATES = 5 * FIRST


class Fit:
    """A network that is fitted to what it is given, as agents fit theirs."""

    def __init__(self, device: torch.device) -> None:
        network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
        initialise(network, seeded(0, torch.device("cpu")))
        self.network = network.to(device)
        rate = torch.tensor(0.0, device=device)
        on_gpu = device.type == "cuda"
        self.optimiser = torch.optim.AdamW(self.network.parameters(), rate, capturable=on_gpu, fused=on_gpu)

    def update(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        loss = nn.functional.mse_loss(self.network(x)[:, 0], y)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimiser.step()
        return {"loss": loss.detach()}

    def losses(self, update: Repeated | None) -> list[Tensor]:
        """Of updates in which data, their number and the learning rate change."""
        device = next(self.network.parameters()).device
        data, found = torch.Generator().manual_seed(1), []
        for k in range(UPDATES):
            x = torch.randn(32 if k % 3 else 20, 4, generator=data).to(device)
            self.optimiser.param_groups[0]["lr"].fill_(1e-2 / (1 + k))
            found.append((update or self.update)(x, x.sum(1))["loss"])
        return found


def test_on_the_processor_it_is_the_function_itself() -> None:
    plain, repeated = Fit(torch.device("cpu")), Fit(torch.device("cpu"))
    expected = plain.losses(None)
    assert repeated.losses(Repeated(repeated.update, torch.device("cpu"))) == expected
    assert expected[-1] < expected[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
def test_a_graph_learns_what_python_would_have() -> None:
    device = torch.device("cuda")
    plain, graphs = Fit(device), Fit(device)
    update = Repeated(graphs.update, device)
    assert torch.allclose(torch.stack(graphs.losses(update)), torch.stack(plain.losses(None)), rtol=1e-4)
    assert len(update.captured) == 2  # one for each shape
    for ours, theirs in zip(graphs.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
