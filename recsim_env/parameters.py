"""Parameters of scenarios and agents: declared once, read from Python, text or YAML, checked."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np

from recsim_env.errors import InvalidParameter, unknown

T = TypeVar("T")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def param(
    default: Any,
    about: str = "",
    *,
    low: float = -math.inf,
    high: float = math.inf,
    fit: str | tuple[float, float] | None = None,
) -> Any:
    """A dataclass field with a sentence about it and an inclusive range.

    `fit` says how logs tell it: "choice", by the likelihood of choices, or the plausible range that simulated
    moments search.
    """
    return dataclasses.field(default=default, metadata={"about": about, "low": low, "high": high, "fit": fit})


@functools.cache
def hints(owner: Any) -> dict[str, Any]:
    """The declared types of a dataclass's fields, by name."""
    return typing.get_type_hints(owner)


def build(owner: type[T], values: Mapping[str, Any], what: str) -> T:
    """An `owner` (a dataclass) with `values`; a name it does not have raises `UnknownName`."""
    names = [f.name for f in dataclasses.fields(owner)]  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise unknown(f"parameter of {what}", name, names)
    return owner(**values)


def validate(config: Any) -> None:
    """Convert each field of a dataclass to its declared type, in place, and check its range.

    Raises `InvalidParameter` with the field, the rule and the value.
    """
    for field in dataclasses.fields(config):
        where = f"{type(config).__name__}.{field.name}"
        value = convert(getattr(config, field.name), hints(type(config))[field.name], where)  # type: ignore[arg-type]
        check_range(value, field.metadata, where)
        object.__setattr__(config, field.name, value)


def check_range(value: Any, metadata: Mapping[str, Any], where: str) -> None:
    if isinstance(value, bool | str | IntEnum) or value is None or "low" not in metadata:
        return
    low, high = metadata["low"], metadata["high"]
    if not low <= value <= high:
        raise InvalidParameter(f"{where} must lie in [{low:g}, {high:g}], not {value!r}")


def convert(value: Any, kind: Any, where: str) -> Any:
    """`value` as the type `kind`: bool, int, float, str, an IntEnum (by name), or one of these or None."""
    if isinstance(kind, types.UnionType):
        if value is None or value == "none":
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    try:
        return CONVERTERS.get(kind, functools.partial(to_enum, kind))(value)
    except (ValueError, TypeError, OverflowError):
        raise InvalidParameter(f"{where} must be {describe(kind)}, not {value!r}") from None


def describe(kind: type) -> str:
    if issubclass(kind, IntEnum):
        return "one of " + ", ".join(member.name.lower() for member in kind)
    return {"int": "a whole number", "float": "a finite number", "bool": "true or false"}.get(kind.__name__, "text")


def to_bool(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str) and value.lower() in TRUTHS:
        return TRUTHS[value.lower()]
    raise ValueError


def to_int(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool | np.bool_) or (not isinstance(value, str) and number != value):
        raise ValueError
    return number


def to_float(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool | np.bool_) or not math.isfinite(number):
        raise ValueError
    return number


def to_str(value: Any) -> str:
    if not hasattr(value, "__fspath__") and not isinstance(value, str):
        raise ValueError
    return str(value)


def to_enum(kind: type[IntEnum], value: Any) -> IntEnum:
    if isinstance(value, str):
        members = {member.name.lower(): member for member in kind}
        if value.lower() not in members:
            raise ValueError
        return members[value.lower()]
    return kind(to_int(value))


CONVERTERS: dict[Any, Any] = {bool: to_bool, int: to_int, float: to_float, str: to_str}
