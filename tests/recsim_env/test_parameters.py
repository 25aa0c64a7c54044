"""Parameters: converted to their declared types, kept in their ranges, and refused in words that name all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsim_env.errors import InvalidParameter, RecSimError, UnknownName, unknown
from recsim_env.parameters import build, convert, param, validate


class Mood(IntEnum):
    CALM = 0
    VERY_CROSS = 3


@dataclass(frozen=True)
class Settings:
    steps: int = param(5, "how many", low=1, high=9)
    rate: float = param(0.5, "how fast", low=0, high=1)
    free: float = param(0.0, "any finite number")
    loud: bool = param(False, "whether it shouts")
    mood: Mood = param(Mood.CALM, "how it feels")
    name: str = param("", "what it is called")
    limit: int | None = param(None, "when it stops", low=0)
    bare: int = 1

    def __post_init__(self) -> None:
        validate(self)


def made(name: str, value: Any) -> Any:
    return getattr(build(Settings, {name: value}, "the settings"), name)


# -- conversions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 7, 7),
        ("steps", "7", 7),
        ("steps", 7.0, 7),
        ("steps", np.int32(7), 7),
        ("steps", np.float32(7.0), 7),
        ("rate", 1, 1.0),
        ("rate", "0.25", 0.25),
        ("rate", "1e-3", 0.001),
        ("rate", np.float32(0.5), 0.5),
        ("loud", True, True),
        ("loud", np.True_, True),
        ("loud", "yes", True),
        ("loud", "False", False),
        ("loud", "0", False),
        ("mood", Mood.VERY_CROSS, Mood.VERY_CROSS),
        ("mood", "very_cross", Mood.VERY_CROSS),
        ("mood", "CALM", Mood.CALM),
        ("mood", 3, Mood.VERY_CROSS),
        ("name", "Ann", "Ann"),
        ("name", Path("a/b"), "a/b"),
        ("limit", None, None),
        ("limit", "none", None),
        ("limit", "4", 4),
    ],
)
def test_a_value_becomes_its_declared_type(name: str, value: Any, expected: Any) -> None:
    converted = made(name, value)
    assert converted == expected
    assert type(converted) is type(expected)


NUMBERS = "a whole number"
REFUSED = [
    ("steps", 2.5, NUMBERS),
    ("steps", np.float32(2.5), NUMBERS),
    ("steps", Decimal("2.5"), NUMBERS),
    ("steps", math.nan, NUMBERS),
    ("steps", math.inf, NUMBERS),
    ("steps", True, NUMBERS),
    ("steps", "two", NUMBERS),
    ("steps", "2.0", NUMBERS),
    ("steps", None, NUMBERS),
    ("steps", [2], NUMBERS),
    ("limit", 1.5, NUMBERS),
    ("rate", math.nan, "a finite number"),
    ("rate", "inf", "a finite number"),
    ("rate", True, "a finite number"),
    ("rate", "fast", "a finite number"),
    ("rate", None, "a finite number"),
    ("free", 10**400, "a finite number"),
    ("loud", 1, "true or false"),
    ("loud", "maybe", "true or false"),
    ("loud", None, "true or false"),
    ("mood", "cross", "one of calm, very_cross"),
    ("mood", 1, "one of calm, very_cross"),
    ("mood", False, "one of calm, very_cross"),
    ("mood", None, "one of calm, very_cross"),
    ("name", 3, "text"),
    ("name", b"Ann", "text"),
    ("name", None, "text"),
]


@pytest.mark.parametrize(("name", "value", "rule"), REFUSED)
def test_another_value_is_refused_with_field_rule_and_value(name: str, value: Any, rule: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        made(name, value)
    assert str(caught.value) == f"Settings.{name} must be {rule}, not {value!r}"
    assert isinstance(caught.value, RecSimError)
    assert isinstance(caught.value, ValueError)


@given(st.integers(-(2**70), 2**70))
def test_whole_numbers_survive_as_number_and_as_text(number: int) -> None:
    assert convert(number, int, "it") == convert(str(number), int, "it") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_as_number_and_as_text(number: float) -> None:
    assert convert(number, float, "it") == convert(repr(number), float, "it") == number


@given(st.floats().filter(lambda x: not x.is_integer()))
def test_a_fraction_is_never_cut_to_a_whole_number(number: float) -> None:
    for value in (number, np.float64(number), repr(number)):
        with pytest.raises(InvalidParameter):
            convert(value, int, "it")


# -- ranges --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "interval"),
    [
        ("steps", 0, "[1, 9]"),
        ("steps", "10", "[1, 9]"),
        ("rate", -1e-9, "[0, 1]"),
        ("rate", 1.5, "[0, 1]"),
        ("limit", -1, "[0, inf]"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(name: str, value: Any, interval: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        made(name, value)
    expected = int(value) if isinstance(value, str) else value
    assert str(caught.value) == f"Settings.{name} must lie in {interval}, not {expected!r}"


@given(st.integers(-20, 20))
def test_ranges_include_their_ends_and_nothing_more(steps: int) -> None:
    if 1 <= steps <= 9:
        assert made("steps", steps) == steps
    else:
        with pytest.raises(InvalidParameter):
            made("steps", steps)


def test_a_field_without_param_has_no_range() -> None:
    assert made("bare", -(10**9)) == -(10**9)


# -- names ---------------------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        build(Settings, {"step": 3}, "the settings")
    assert str(caught.value) == "unknown parameter of the settings 'step'; did you mean 'steps'?"


def test_an_unknown_name_like_none_is_refused_with_all() -> None:
    with pytest.raises(UnknownName) as caught:
        build(Settings, {"zzz": 3}, "the settings")
    known = "bare, free, limit, loud, mood, name, rate, steps"
    assert str(caught.value) == f"unknown parameter of the settings 'zzz'; known: {known}"


def test_where_nothing_is_known_none_is_said() -> None:
    assert str(unknown("preset", "x", [])) == "unknown preset 'x'; known: none"
