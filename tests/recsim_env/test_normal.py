"""The normal's quantile, against SciPy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from recsim_env.link import JIT, link
from recsim_env.normal import A, B, normal_quantile, polynomial

EPSILON = 2.0**-53
GRIDS = {
    "centre": np.linspace(0.075, 0.925, 20_001),
    "tails": np.r_[np.geomspace(2.0**-54, 0.075, 20_001), 1.0 - np.geomspace(EPSILON, 0.075, 20_001)],
    "around the seams": np.add.outer([0.075, 0.925, np.exp(-25.0), 1.0 - np.exp(-25.0)], np.arange(-50, 51) * EPSILON),
    "around one half": 0.5 + np.arange(-1000, 1001) * EPSILON,
}


def largest_error(quantile: Callable[[float], float], probabilities: np.ndarray) -> float:
    """The largest relative difference to SciPy's quantile."""
    p = probabilities.ravel()
    ours, theirs = np.array([quantile(float(x)) for x in p]), ndtri(p)
    return float(np.max(np.abs(ours - theirs) / np.where(theirs == 0, 1.0, np.abs(theirs))))


@pytest.mark.parametrize("grid", GRIDS)
def test_quantiles_are_those_of_scipy(grid: str) -> None:
    assert largest_error(normal_quantile, GRIDS[grid]) < 1e-14


@given(st.floats(2.0**-54, 1.0, exclude_max=True))
def test_any_quantile_is_that_of_scipy(p: float) -> None:
    assert largest_error(normal_quantile, np.array([p])) < 1e-14


def test_the_comparison_notices_one_wrong_digit() -> None:
    wrong = (A[0] * (1 + 1e-12), *A[1:])

    def quantile(p: float) -> float:
        q = p - 0.5
        return q * polynomial(wrong, 0.180625 - q * q) / polynomial(B, 0.180625 - q * q)

    assert largest_error(quantile, GRIDS["centre"]) > 1e-14


def test_zero_is_taken_as_the_smallest_probability() -> None:
    assert normal_quantile(0.0) == normal_quantile(2.0**-54) == pytest.approx(ndtri(2.0**-54), rel=1e-14)


@given(st.integers(1, 2**53 - 1))
def test_quantiles_are_symmetric(n: int) -> None:
    assert normal_quantile(n * EPSILON) == -normal_quantile(1.0 - n * EPSILON)


def test_quantiles_rise_with_the_probability() -> None:
    p = np.sort(np.concatenate([GRIDS[name] for name in ("centre", "tails")]))
    values = [normal_quantile(x) for x in p.tolist()]
    assert (np.diff(values) >= 0).all()


def test_compiled_quantiles_are_the_bits_of_plain_ones() -> None:
    compiled = link(normal_quantile, JIT)
    for grid in GRIDS.values():
        p = grid.ravel()[::7].tolist()
        assert [compiled(x) for x in p] == [normal_quantile(x) for x in p]
