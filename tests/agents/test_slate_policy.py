"""Slates without repeats: how they are drawn, how likely they are, and what is kept of many candidates."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from agents.rollouts import Candidates, Rollout, join
from agents.slate_policy import NOBODY, draw_slates, keep_candidates, place_log_probabilities, softmax_entropy
from agents.torch_tools import seeded

CPU = torch.device("cpu")
LOGITS = torch.tensor([1.5, -0.5, 0.0, 0.8, -2.0])
ALLOWED = torch.tensor([True, True, False, True, True])


def log_probability(slate: tuple[int, ...], logits: torch.Tensor, allowed: torch.Tensor) -> float:
    """Of an ordered slate, by the way that learning takes: what was shown first, masked candidates for nobody."""
    rest = [c for c in range(len(logits)) if c not in slate]
    order = torch.tensor([*slate, *rest])
    counts = torch.where(allowed[order], 0.0, NOBODY)
    return float(place_log_probabilities((logits[order] + counts)[None], len(slate)).sum())


@pytest.mark.parametrize("places", [1, 2, 3, 4])
def test_the_probabilities_of_all_ordered_slates_sum_to_1(places: int) -> None:
    slates = permutations([c for c in range(5) if ALLOWED[c]], places)
    assert sum(np.exp(log_probability(slate, LOGITS, ALLOWED)) for slate in slates) == pytest.approx(1.0, abs=1e-5)


def test_a_slate_of_all_candidates_has_a_probability_and_a_gradient() -> None:
    logits = torch.tensor([[0.0, 1.0]], requires_grad=True)
    log_probabilities = place_log_probabilities(logits, 2)
    log_probabilities.sum().backward()
    assert log_probabilities[0].tolist() == pytest.approx([-np.log1p(np.e), 0.0], abs=1e-6)
    assert logits.grad[0].tolist() == pytest.approx([np.e / (1 + np.e), -np.e / (1 + np.e)], abs=1e-6)


def test_slates_are_drawn_as_often_as_their_probability_says() -> None:
    slates = list(permutations([c for c in range(5) if ALLOWED[c]], 2))
    drawn = draw_slates(LOGITS.expand(20_000, 5), ALLOWED.expand(20_000, 5), 2, seeded(0, CPU)).tolist()
    counts = [drawn.count(list(slate)) for slate in slates]
    expected = np.array([np.exp(log_probability(slate, LOGITS, ALLOWED)) for slate in slates])
    assert sum(counts) == 20_000  # no repeats, and nothing masked
    assert chisquare(counts, 20_000 * expected / expected.sum()).pvalue > 1e-3


def test_masked_candidates_come_last_where_the_others_run_out() -> None:
    allowed = torch.tensor([[False, False, True, False, False]])
    slate = draw_slates(LOGITS[None], allowed, 3, seeded(0, CPU))[0].tolist()
    assert slate[0] == 2
    assert len(set(slate)) == 3


def test_a_sample_of_many_candidates_has_the_normaliser_of_all_in_expectation() -> None:
    generator, rows = seeded(1, CPU), 4000
    logits = (2.0 * torch.randn(200, generator=generator)).expand(rows, 200)
    allowed = (torch.arange(200) % 3 > 0).expand(rows, 200)
    slates = draw_slates(logits, allowed, 3, generator)
    kept, counts = keep_candidates(logits, allowed, slates, 20, generator)
    assert kept.shape == (rows, 23)
    assert torch.equal(kept[:, :3], slates)
    assert allowed.gather(1, kept).all()
    assert kept.sort(1).values.diff(dim=1).min() > 0
    sums = (logits.gather(1, kept) + counts).exp().sum(1)
    assert float(sums.mean()) == pytest.approx(float(logits[0].exp()[allowed[0]].sum()), rel=0.005)


def test_few_candidates_are_all_kept_and_masked_ones_stand_for_nobody() -> None:
    kept, counts = keep_candidates(LOGITS[None], ALLOWED[None], torch.tensor([[3, 0]]), 10, seeded(0, CPU))
    assert kept[0, :2].tolist() == [3, 0]
    standing = counts[0] > NOBODY
    assert sorted(kept[0, standing].tolist()) == [0, 1, 3, 4]
    assert counts[0, standing].eq(0).all()


def test_the_entropy_counts_what_stands_for_several() -> None:
    counts = torch.tensor([[0.0, np.log(9.0), NOBODY]], dtype=torch.float32)
    entropy = softmax_entropy(torch.zeros(1, 3) + counts, counts)
    assert float(entropy) == pytest.approx(np.log(10.0), abs=1e-5)


def one_step(rewards: list[float], terminated: list[bool], ended: list[bool], users: list[float]) -> Rollout:
    """A step of two users with one number each; what follows what was not watched is user 100."""
    unseen = torch.tensor([i for i in range(2) if not terminated[i]])
    column = torch.zeros(2, 1)
    return Rollout(
        users=torch.tensor(users)[:, None], log_counts=column, log_propensities=column, clicked=column,
        candidates=Candidates(column[..., None], torch.zeros((2, 0), dtype=torch.int64), torch.zeros(0, 0)),
        rewards=torch.tensor([rewards]), terminated=torch.tensor([terminated]), ended=torch.tensor([ended]),
        unseen=unseen, unseen_users=torch.full((len(unseen), 1), 100.0),
    )  # fmt: skip


def test_returns_bootstrap_where_sessions_were_cut_and_at_the_end_of_the_rollout_only() -> None:
    """User 0 terminates and begins anew; user 1 is cut and begins anew; gamma 0.5, the value is the user's number."""
    steps = [
        one_step([1.0, 1.0], [False, False], [False, False], [7.0, 7.0]),
        one_step([2.0, 2.0], [True, False], [True, True], [7.0, 7.0]),
        one_step([4.0, 4.0], [False, False], [False, False], [7.0, 7.0]),
    ]
    returns, values = join(steps).returns(torch.nn.Flatten(0), gamma=0.5, trace=1.0)
    assert returns.view(3, 2).tolist() == [[2.0, 27.0], [2.0, 52.0], [54.0, 54.0]]
    assert values.eq(7.0).all()
    believing, _ = join(steps).returns(torch.nn.Flatten(0), gamma=0.5, trace=0.0)
    assert believing.view(3, 2)[0].tolist() == [4.5, 4.5]
    assert torch.equal(join([join(steps[:2]), steps[2]]).returns(torch.nn.Flatten(0), 0.5, 1.0)[0], returns)
