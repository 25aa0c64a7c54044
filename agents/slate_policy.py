"""Slates drawn without repeats from a softmax over the candidates (Plackett-Luce), and how likely they are.

The first place is drawn from the softmax, each further one from what is left of it. Of many candidates only some are
kept to learn from: those shown, the most likely others, and a sample of the rest, each of which stands for several.
"""

from __future__ import annotations

import torch
from torch import Tensor

NOBODY = -1e9  # the log count of a masked candidate; not -inf, whose gradients are NaN


def draw_slates(logits: Tensor, allowed: Tensor, places: int, generator: torch.Generator) -> Tensor:
    """(n, S) positions by the Gumbel top-k trick (Kool et al., 2019); masked ones only where the others run out."""
    noise = torch.empty_like(logits).exponential_(generator=generator).log()
    return (logits - noise).masked_fill(~allowed, -torch.inf).topk(places, dim=1).indices


def place_log_probabilities(logits: Tensor, places: int) -> Tensor:
    """(n, S): the log-probability of each place's candidate, given those above it.

    Args:
        logits: (n, K), those shown first, in the order of the slate, plus the log counts (see `keep_candidates`).
        places: S.
    """
    shown = logits[:, :places]
    left = torch.logsumexp(logits[:, places:], dim=1)  # -inf where all are shown
    normalisers = []
    for place in reversed(range(places)):
        left = torch.logaddexp(left, shown[:, place])
        normalisers.append(left)
    return shown - torch.stack(normalisers[::-1], dim=1)


def softmax_entropy(logits: Tensor, log_counts: Tensor) -> Tensor:
    """(n,): the entropy of the first place; `logits` (n, K) have `log_counts` added, as each counts for several."""
    shares = torch.log_softmax(logits, dim=1)
    return -(shares.exp() * (shares - log_counts)).sum(1)


def keep_candidates(
    logits: Tensor, allowed: Tensor, slates: Tensor, most: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Which candidates to learn from, those shown first, and for how many each one stands.

    Where at most `most` were not shown, all are kept. Else half of `most` are the most likely ones, and the others a
    uniform sample of the rest, whose counts make the softmax's normaliser right in expectation.

    Returns:
        Positions (n, K) and log counts (n, K).
    """
    unshown = logits.shape[1] - slates.shape[1]
    likely = unshown if unshown <= most else most // 2
    drawn = 0 if unshown <= most else most - likely
    others = allowed.scatter(1, slates, False)
    best, is_other = pick(logits, others, likely)
    rest = others.scatter(1, best, False)
    keys = torch.rand(logits.shape, generator=generator, device=logits.device) if drawn else logits
    sample, is_rest = pick(keys, rest, drawn)
    each = (rest.sum(1, keepdim=True) / is_rest.sum(1, keepdim=True).clamp(min=1)).clamp(min=1).log()
    nobody = torch.full_like(each, NOBODY)
    counts = [torch.zeros_like(slates, dtype=logits.dtype), torch.where(is_other, 0.0, nobody)]
    return torch.cat([slates, best, sample], dim=1), torch.cat([*counts, torch.where(is_rest, each, nobody)], dim=1)


def pick(keys: Tensor, eligible: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(n, count) positions of the highest keys among the eligible, and whether they are."""
    positions = keys.masked_fill(~eligible, -torch.inf).topk(count, dim=1).indices
    return positions, eligible.gather(1, positions)
