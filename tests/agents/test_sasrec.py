"""Self-attention learns what follows from the last two items, and not without mask or positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from agents import sasrec
from agents.sasrec import SASRec, SASRecConfig
from recsim_env.errors import InvalidParameter
from tests.agents.sessions import SEEN, accuracy, sessions, spec
from tests.agents.tastes import Curves

PEOPLE = 1500
SETTINGS = {
    "history": SEEN, "width": 32, "blocks": 1, "epochs": 8, "patience": 8, "learning_rate": 0.005, "dropout": 0.0,
    "unknown_id": 0.0,
}  # fmt: skip


def fitted(ids: bool = True, curves: Curves | None = None) -> SASRec:
    agent = SASRec(SASRecConfig(**SETTINGS), spec(PEOPLE, ids))
    agent.fit(sessions(PEOPLE, ids), curves or Curves())
    return agent


@pytest.mark.parametrize("ids", [True, False])
def test_learns_what_follows(ids: bool) -> None:
    curves = Curves()
    assert accuracy(fitted(ids, curves), ids) > 0.95
    assert min(curves.points["train/loss"]) > 0.9  # surprises cannot be foretold


def test_a_missing_mask_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: steps see what comes later, and so the very item that they foretell."""

    def leaking(queries: Tensor, keys: Tensor, values: Tensor, dropout: nn.Module) -> Tensor:
        return (queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5).softmax(dim=3) @ values

    monkeypatch.setattr(sasrec, "attend", leaking)
    curves = Curves()
    assert accuracy(fitted(curves=curves)) < 0.6
    assert min(curves.points["train/loss"]) < 0.5


def test_missing_positions_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a set of steps, not a sequence; from few steps before the last, a set still tells something."""
    forward = sasrec.SelfAttention.forward

    def unordered(self: sasrec.SelfAttention, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.positions.zero_()
        return forward(self, x)

    monkeypatch.setattr(sasrec.SelfAttention, "forward", unordered)
    assert accuracy(fitted()) < 0.85


def test_later_steps_change_no_earlier_state() -> None:
    network = SASRec(SASRecConfig(history=4, width=8, heads=2), spec(1)).network.sequence
    x = torch.arange(40.0).sin().reshape(1, 5, 8)
    changed = x.clone()
    changed[:, 3:] *= -1.0
    with torch.no_grad():
        assert torch.allclose(network(x)[:, :3], network(changed)[:, :3])
        assert not torch.allclose(network(x)[:, 3], network(changed)[:, 3])


def test_heads_divide_the_width() -> None:
    with pytest.raises(InvalidParameter, match=r"heads must divide width \(64\), not 3"):
        SASRecConfig(heads=3)
