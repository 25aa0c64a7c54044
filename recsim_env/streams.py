"""Random numbers that depend on (seed, purpose, user, session, step, verb, n) and on nothing else.

Each draw is the splitmix64 finaliser (Steele, Lea and Flood, 2014) of a counter; the key is finalised at
each link of the chain, since a plain sum of multiples collides. A stream is one record; its methods run in
plain Python and, through the overloads of `recsim_env.compiled_streams`, compiled, with equal bits.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np

from recsim_env.errors import InvalidParameter
from recsim_env.normal import normal_quantile

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
U_GOLDEN = np.uint64(GOLDEN)
IMAGINED = 1 << 63  # the place below a key where imagined futures lie; no session and no stream has it


class Purpose(IntEnum):
    """What the simulated users are for; hashed into the key, so that no seeds make them meet."""

    TRAIN = 0
    VALIDATE = 1
    TEST = 2


class Verb(IntEnum):
    """The part of a step that draws; each has its own stream (8 a step at most)."""

    ARRIVE = 0
    OFFER = 1
    RESPOND = 2
    EVOLVE = 3
    FIRST_SLATE = 4
    OBSERVE = 5


def mix(z: int) -> int:
    """The 64-bit finaliser, on Python integers."""
    z = int(z) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def chain(key: int, link: int) -> int:
    """The key of place `link` below `key`."""
    return mix(int(key) + GOLDEN * (int(link) + 1))


def root_key(seed: int, purpose: Purpose) -> int:
    """The key of all users of a seed and a purpose.

    Raises:
        InvalidParameter: the seed is negative.
    """
    if seed < 0:
        raise InvalidParameter(f"seed must be 0 or more, not {seed}")
    key = int(purpose)
    while True:  # seeds of any length: 64 bits a link
        key = chain(key, seed & MASK)
        seed >>= 64
        if not seed:
            return key


def mix_bits(z: Any) -> Any:
    """`mix` on unsigned numbers of 64 bits, or arrays of them, that wrap around."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def chain_many(key: int, links: np.ndarray) -> np.ndarray:
    """The keys of places `links` (n,) uint64 below one key."""
    keys: np.ndarray = mix_bits(np.uint64(key) + U_GOLDEN * (links + np.uint64(1)))
    return keys


def imagined_keys(keys: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """The keys that stand for `keys` (n,) uint64 in the imagined futures of numbers `luck` (n,), 0 or more."""
    below = mix_bits(keys + np.uint64(GOLDEN * (IMAGINED + 1) & MASK))
    futures: np.ndarray = mix_bits(below + U_GOLDEN * (luck.astype(np.uint64) + np.uint64(1)))
    return futures


def integer(rng: Any, high: int) -> int:
    """A whole number from 0 to high - 1."""
    return int(rng.uniform() * high)


def normal(rng: Any, mean: float, sd: float) -> float:
    """One draw, through the normal's quantile."""
    return mean + sd * normal_quantile(rng.uniform())


def lognormal(rng: Any, mean: float, sd: float) -> float:
    return math.exp(rng.normal(mean, sd))


def gamma(rng: Any, shape: float, scale: float) -> float:
    """Marsaglia and Tsang (2000); shapes under 1 are boosted."""
    boost = 1.0
    if shape < 1.0:
        boost = math.exp(math.log(1.0 - rng.uniform()) / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    while True:
        x = rng.normal(0.0, 1.0)
        v = 1.0 + x / math.sqrt(9.0 * d)
        if v > 0.0:
            v = v * v * v
            if math.log(1.0 - rng.uniform()) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v * scale * boost


def beta(rng: Any, a: float, b: float) -> float:
    x = rng.gamma(a, 1.0)
    y = rng.gamma(b, 1.0)
    if x + y == 0.0:  # both too small for a float: all but nothing of such a beta lies at its ends
        return 1.0 if rng.uniform() * (a + b) < a else 0.0
    return x / (x + y)


def categorical(rng: Any, weights: Any) -> int:
    """A position with probability proportional to its weight (all at least 0, not all 0)."""
    total = 0.0
    for i in range(len(weights)):
        total += weights[i]
    left = rng.uniform() * total
    last = 0
    for i in range(len(weights)):
        if weights[i] > 0.0:
            last = i
            left -= weights[i]
            if left < 0.0:
                return i
    return last


class Stream(np.record):  # type: ignore[misc]
    """One verb's random numbers: the record (key, state), with methods."""

    key: Any
    state: Any

    def rekey(self, base: Any, counter: int) -> None:
        """Become stream number `counter` below the key `base`."""
        self.key = self.state = chain(base, counter)

    def at(self, position: int) -> Stream:
        """The same stream, moved to the draws that belong to a candidate's position.

        A draw that is put off until its item is shown stays with its candidate: two agents that show the
        candidate at different places see the same number.
        """
        self.state = (int(self.key) + GOLDEN * ((int(position) + 1) << 32)) & MASK
        return self

    def uniform(self) -> float:
        """A number in [0, 1)."""
        self.state = (int(self.state) + GOLDEN) & MASK
        return float((mix(self.state) >> 11) * 2.0**-53)

    integer = integer
    normal = normal
    lognormal = lognormal
    gamma = gamma
    beta = beta
    categorical = categorical


# Aligned, as all records are: a GPU reads others byte by byte.
STREAM = np.dtype((Stream, np.dtype([("key", np.uint64), ("state", np.uint64)], align=True)))
