"""Choice models: how a user chooses from a slate. Plain functions that verbs call, compiled with them."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any


class Choice(IntEnum):
    """The single-choice models, by name in a scenario's parameters."""

    MULTINOMIAL_LOGIT = 0
    PROPORTIONAL = 1
    CASCADE = 2


def weighted_choice(weights: Any, no_click: float, rng: Any) -> int:
    """A place with probability proportional to its weight, or -1 (no click) with weight `no_click`."""
    total = no_click
    for place in range(len(weights)):
        total += weights[place]
    left = rng.uniform() * total
    for place in range(len(weights)):
        left -= weights[place]
        if left < 0.0:
            return place
    return -1


def multinomial_logit(scores: Any, no_click: float, rng: Any) -> int:
    """The clicked place, or -1: probabilities are the softmax of the scores and the no-click logit.

    Overwrites `scores` with the weights. (McFadden, 1974.)
    """
    highest = no_click
    for place in range(len(scores)):
        highest = max(highest, scores[place])
    for place in range(len(scores)):
        scores[place] = math.exp(scores[place] - highest)
    return weighted_choice(scores, math.exp(no_click - highest), rng)


def proportional(scores: Any, offset: float, no_click: float, rng: Any) -> int:
    """The clicked place, or -1: probabilities proportional to score + offset, and `no_click`.

    Overwrites `scores` with the weights; negative ones count as 0.
    """
    for place in range(len(scores)):
        scores[place] = max(0.0, scores[place] + offset)
    return weighted_choice(scores, no_click, rng)


def cascade(attractiveness: Any, attention: float, rng: Any) -> int:
    """The clicked place, or -1: from top to bottom, each is clicked with attention * attractiveness, until one is.

    (Craswell et al., 2008.)
    """
    for place in range(len(attractiveness)):
        if rng.uniform() < attention * attractiveness[place]:
            return place
    return -1


def exponential_cascade(scores: Any, attention: float, scaling: float, rng: Any) -> int:
    """A cascade in which a place's attractiveness is scaling * exp(score). Overwrites `scores` with it.

    (RecSim, Ie et al., 2019.)
    """
    for place in range(len(scores)):
        scores[place] = scaling * math.exp(scores[place])
    return cascade(scores, attention, rng)


def threshold(scores: Any, least: float) -> int:
    """The place of the highest score, or -1 where even that is below `least`; a tie goes to the upper place."""
    best = 0
    for place in range(1, len(scores)):
        if scores[place] > scores[best]:
            best = place
    return best if scores[best] >= least else -1


def examined(place: int, gamma: float) -> float:
    """How likely a place is looked at in the position-based model: gamma ** place.

    (Richardson et al., 2007; Chuklin et al., 2015.)
    """
    likely = 1.0
    for _ in range(place):
        likely *= gamma
    return likely


def examined_from_both_ends(place: int, places: int, gamma: float) -> float:
    """The mixed position-based model: half the users read from the top and half from the bottom.

    (SARDINE, Deffayet et al., 2024.)
    """
    return 0.5 * (examined(place, gamma) + examined(places - 1 - place, gamma))


def position_based(relevance: float, place: int, gamma: float, rng: Any) -> bool:
    """Whether a place is clicked, independently of the others: relevance * gamma ** place."""
    return rng.uniform() < relevance * examined(place, gamma)
