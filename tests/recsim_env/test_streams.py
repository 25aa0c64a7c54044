"""Draws: distributed as they say, the same bits compiled and plain, and keyed so that no two streams meet."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from recsim_env import streams
from recsim_env.compiled_streams import chain_compiled
from recsim_env.errors import InvalidParameter
from recsim_env.link import JIT
from recsim_env.streams import STREAM, Purpose, Stream, Verb, chain, chain_many, root_key

DRAWS = 20_000
WEIGHTS = np.array([0.5, 0.0, 2.0, 1.5])
UNLIKELY = 1e-3  # the seeds are fixed: a check that passes once always passes

CONTINUOUS: dict[str, Any] = {
    "uniform": stats.uniform(),
    "normal": stats.norm(-1.0, 2.0),
    "lognormal": stats.lognorm(0.8, scale=np.exp(0.3)),
    "gamma": stats.gamma(2.5, scale=1.5),
    "gamma_under_1": stats.gamma(0.4, scale=2.0),
    "beta": stats.beta(2.0, 5.0),
    "beta_at_the_ends": stats.beta(0.5, 0.5),
}
DISCRETE: dict[str, np.ndarray] = {
    "integer": np.full(7, 1 / 7),
    "categorical": WEIGHTS / WEIGHTS.sum(),
}
COLUMNS = (*CONTINUOUS, *DISCRETE, "tiny_beta", "at")


def fill(base: Any, records: Any, weights: Any, out: Any) -> None:
    """Row i: a draw of each distribution from stream i; the same text compiled and plain."""
    rng = records[0]
    for i in range(len(out)):
        rng.rekey(base, i)
        out[i, 0] = rng.uniform()
        out[i, 1] = rng.normal(-1.0, 2.0)
        out[i, 2] = rng.lognormal(0.3, 0.8)
        out[i, 3] = rng.gamma(2.5, 1.5)
        out[i, 4] = rng.gamma(0.4, 2.0)
        out[i, 5] = rng.beta(2.0, 5.0)
        out[i, 6] = rng.beta(0.5, 0.5)
        out[i, 7] = rng.integer(7)
        out[i, 8] = rng.categorical(weights)
        out[i, 9] = rng.beta(0.001, 0.003)
        out[i, 10] = rng.at(i % 5).uniform()


def filled(function: Callable[..., None]) -> np.ndarray:
    out = np.zeros((DRAWS, len(COLUMNS)))
    function(np.uint64(2024), np.zeros(1, STREAM), WEIGHTS, out)
    return out


def stream(base: int = 1, counter: int = 0) -> Stream:
    rng: Stream = np.zeros(1, STREAM)[0]
    rng.rekey(base, counter)
    return rng


@pytest.fixture(scope="module")
def plain() -> np.ndarray:
    return filled(fill)


def column(table: np.ndarray, name: str) -> np.ndarray:
    return table[:, COLUMNS.index(name)]


def follows(draws: np.ndarray, distribution: Any) -> bool:
    return bool(stats.kstest(draws, distribution.cdf).pvalue > UNLIKELY)


def has_frequencies(draws: np.ndarray, expected: np.ndarray) -> bool:
    counts = np.bincount(draws.astype(int), minlength=len(expected))
    possible = expected > 0
    if len(counts) > len(expected) or counts[~possible].any():
        return False
    return bool(stats.chisquare(counts[possible], len(draws) * expected[possible]).pvalue > UNLIKELY)


# -- distributions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_draws_follow_their_distribution(plain: np.ndarray, name: str) -> None:
    assert follows(column(plain, name), CONTINUOUS[name])


@pytest.mark.parametrize("name", DISCRETE)
def test_whole_draws_have_their_frequencies(plain: np.ndarray, name: str) -> None:
    assert has_frequencies(column(plain, name), DISCRETE[name])


def test_the_checks_notice_a_distribution_that_is_slightly_off(plain: np.ndarray) -> None:
    assert not follows(column(plain, "normal"), stats.norm(-1.0, 2.1))
    assert not follows(column(plain, "gamma"), stats.gamma(2.6, scale=1.5))
    assert not follows(column(plain, "uniform") ** 1.05, stats.uniform())
    assert not has_frequencies(column(plain, "categorical"), np.array([0.15, 0.0, 0.5, 0.35]))
    assert not has_frequencies(column(plain, "integer"), np.full(6, 1 / 6))


def test_a_beta_whose_gammas_are_too_small_for_a_float_falls_on_its_ends(plain: np.ndarray) -> None:
    draws = column(plain, "tiny_beta")
    assert ((draws >= 0) & (draws <= 1)).all()
    assert stats.binomtest(int((draws > 0.5).sum()), DRAWS, 0.25).pvalue > UNLIKELY  # a / (a + b)


def test_compiled_draws_are_the_bits_of_plain_ones(plain: np.ndarray) -> None:
    compiled = filled(numba.njit(fill))
    for name in COLUMNS:
        assert np.array_equal(column(compiled, name).view(np.int64), column(plain, name).view(np.int64)), name


class Fixed:
    """A stream that gives one number again and again."""

    def __init__(self, number: float) -> None:
        self.number = number

    def uniform(self) -> float:
        return self.number


@given(high=st.integers(1, 2**53), number=st.sampled_from([0.0, 2.0**-53, 0.5, 1.0 - 2.0**-53]))
def test_whole_numbers_stay_below_their_bound(high: int, number: float) -> None:
    assert 0 <= streams.integer(Fixed(number), high) < high


@given(weights=st.lists(st.floats(0, 1e300), min_size=1, max_size=6).filter(any))
@example(weights=[0.4, 0.5, 0.7999999999999999, 0.9, 0.7999999999999999, 0.6, 0.0])  # their sum is rounded up
def test_a_category_of_weight_zero_is_never_drawn(weights: list[float]) -> None:
    for number in (0.0, 0.5, 1.0 - 2.0**-53):
        assert weights[streams.categorical(Fixed(number), weights)] > 0


@given(key=st.integers(0, 2**64 - 1), counter=st.integers(0, 2**40))
def test_uniform_draws_lie_in_the_half_open_interval(key: int, counter: int) -> None:
    assert 0.0 <= stream(key, counter).uniform() < 1.0


def test_normal_draws_at_the_ends_of_the_interval_are_finite() -> None:
    assert -9 < streams.normal(Fixed(0.0), 0.0, 1.0) < -8
    assert 8 < streams.normal(Fixed(1.0 - 2.0**-53), 0.0, 1.0) < 9


# -- keys ----------------------------------------------------------------------------------------------


def first_draw(
    seed: int = 3, purpose: Purpose = Purpose.TRAIN, user: int = 0, session: int = 0, step: int = 0, verb: int = 0
) -> float:
    """The first draw of a verb, keyed as the loop keys it."""
    key = chain(chain(root_key(seed, purpose), user), session)
    return stream(key, 8 * step + verb).uniform()


def first_draws(link: str) -> np.ndarray:
    """(20000,): the first draws of neighbours in one link of the chain."""
    return np.array([first_draw(**{link: i}) for i in range(DRAWS)])


@pytest.mark.parametrize("link", ["seed", "user", "session", "step"])
def test_neighbours_draw_independently(link: str) -> None:
    draws = first_draws(link)
    assert follows(draws, stats.uniform())
    for lag in (1, 2, 8, 64):
        assert abs(np.corrcoef(draws[:-lag], draws[lag:])[0, 1]) < 4 / np.sqrt(DRAWS)
    pairs = (16 * draws[:-1]).astype(int) * 16 + (16 * draws[1:]).astype(int)
    assert has_frequencies(pairs, np.full(256, 1 / 256))


def test_consecutive_draws_of_a_stream_are_independent() -> None:
    rng = stream()
    draws = np.array([rng.uniform() for _ in range(DRAWS)])
    assert follows(draws, stats.uniform())
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / np.sqrt(DRAWS)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(Verb, 2)))
def test_verbs_draw_independently(one: Verb, other: Verb) -> None:
    pairs = [(first_draw(user=i, verb=one), first_draw(user=i, verb=other)) for i in range(2000)]
    assert abs(np.corrcoef(np.array(pairs).T)[0, 1]) < 4 / np.sqrt(2000)


GRID = [(user, session, step) for user in range(60) for session in range(30) for step in range(40)]


def chained(user: int, session: int, step: int) -> int:
    return chain(chain(chain(root_key(0, Purpose.TRAIN), user), session), step)


def summed(user: int, session: int, step: int) -> int:
    """What a plain sum of multiples, finalised once, would give."""
    return streams.mix(root_key(0, Purpose.TRAIN) + streams.GOLDEN * (user + 1 + session + 1 + step + 1))


def collisions(key_of: Callable[[int, int, int], int]) -> int:
    return len(GRID) - len({key_of(*place) for place in GRID})


def test_no_two_keys_of_a_grid_collide() -> None:
    assert collisions(chained) == 0
    assert collisions(summed) > 0


def test_purposes_never_share_a_user() -> None:
    keys = {chain(root_key(seed, purpose), user) for seed in range(40) for purpose in Purpose for user in range(40)}
    assert len(keys) == 40 * len(Purpose) * 40
    assert len({first_draw(purpose=purpose) for purpose in Purpose}) == len(Purpose)


def test_every_bit_of_a_long_seed_counts() -> None:
    seeds = [0, 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 2**65, 2**128, 2**200 + 7, 2**200 + 8]
    keys = [root_key(seed, Purpose.TRAIN) for seed in seeds]
    assert len(set(keys)) == len(seeds)
    assert all(0 <= key < 2**64 for key in keys)


@pytest.mark.parametrize("seed", [-1, -(2**70)])
def test_a_negative_seed_is_refused(seed: int) -> None:
    with pytest.raises(InvalidParameter, match=f"seed must be 0 or more, not {seed}"):
        root_key(seed, Purpose.TRAIN)


@JIT
def compiled_links(key: Any, links: Any) -> Any:
    found = np.empty_like(links)
    for i in range(len(links)):
        found[i] = chain_compiled(key, links[i])
    return found


def test_keys_are_the_same_compiled_plain_and_many_at_once() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)
    for key in keys[:20]:
        expected = [chain(int(key), int(link)) for link in keys]
        assert chain_many(int(key), keys).tolist() == expected
        assert compiled_links(key, keys).tolist() == expected


# -- draws that belong to a position -------------------------------------------------------------------


def at_positions(positions: list[int], draws_before: int) -> dict[int, tuple[float, float]]:
    rng = stream(9, 4)
    for _ in range(draws_before):
        rng.uniform()
    return {p: (rng.at(p).uniform(), rng.normal(0.0, 1.0)) for p in positions}


@given(order=st.permutations(range(6)), draws_before=st.integers(0, 5))
def test_a_draw_at_a_position_depends_on_nothing_before(order: list[int], draws_before: int) -> None:
    assert at_positions(order, draws_before) == at_positions(list(range(6)), 0)


def test_positions_have_draws_of_their_own() -> None:
    rng = stream(9, 4)
    seen = [rng.uniform() for _ in range(1000)]
    for position in range(100):
        rng.at(position)
        seen += [rng.uniform() for _ in range(10)]
    assert len(set(seen)) == len(seen)
