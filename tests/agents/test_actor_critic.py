"""Actor-critic: the clipped gain, and broken updates that the tiny world finds."""

from __future__ import annotations

import pytest
import torch

from agents import actor_critic, rollouts
from agents.reinforce import Reinforce
from tests.agents.learning import BOOTSTRAPPING, WORLD, engagement, trained
from tests.worlds import tiny_optimum

BAR = 0.95


def test_the_gain_counts_up_to_the_clip_and_only_where_it_would_go_on() -> None:
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5, 1.1], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, -1.0, 1.0, 2.0])
    gain = actor_critic.surrogate(ratio, advantages, 0.2)
    assert gain.tolist() == pytest.approx([1.2, -0.8, -1.5, 0.5, 2.2])
    gain.sum().backward()
    assert ratio.grad.tolist() == [0.0, 0.0, -1.0, 1.0, 2.0]
    assert actor_critic.surrogate(ratio, advantages, 0.0).tolist() == pytest.approx([1.5, -0.5, -1.5, 0.5, 2.2])


def test_plain_actor_critic_reaches_the_optimum_of_the_tiny_world() -> None:
    plain = trained("actor_critic", 0, BOOTSTRAPPING["actor_critic"], clip=0.0, epochs=1, rollout=4)
    assert engagement(plain) >= BAR * tiny_optimum(WORLD)


def test_advantages_of_the_wrong_sign_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: learn what made things worse."""
    surrogate = actor_critic.surrogate
    monkeypatch.setattr(actor_critic, "surrogate", lambda ratio, a, clip: surrogate(ratio, -a, clip))
    assert engagement(trained("actor_critic", 0, BOOTSTRAPPING["actor_critic"])) < BAR * tiny_optimum(WORLD)


REMEMBERED: dict[str, dict[str, int]] = {"actor_critic": {}, "reinforce": {"remembered": Reinforce.Config().remembered}}


@pytest.mark.parametrize("name", list(REMEMBERED))
def test_returns_that_ignore_termination_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: bootstrap from the next session's state; in rollouts of 16 steps, long enough for it to harm both."""
    returns = rollouts.lambda_returns
    monkeypatch.setattr(
        rollouts, "lambda_returns", lambda r, v, terminated, *rest: returns(r, v, torch.zeros_like(terminated), *rest)
    )
    agent = trained(name, 0, BOOTSTRAPPING[name], rollout=16, learning_rate=3e-3, **REMEMBERED[name])
    assert engagement(agent) < BAR * tiny_optimum(WORLD)
