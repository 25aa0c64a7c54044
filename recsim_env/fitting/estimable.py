"""Which parameters of a world can be estimated from logs, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from recsim_env.errors import InvalidParameter, unknown
from recsim_env.fitting.choice import ChoosesByLogit
from recsim_env.fitting.search import Axis
from recsim_env.parameters import hints
from recsim_env.scenario import Scenario


@dataclass(frozen=True)
class Plan:
    """The parameters to estimate: by the likelihood of choices, and by simulated moments."""

    choice: tuple[str, ...]
    axes: tuple[Axis, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.choice, *(axis.name for axis in self.axes))


def plan_of(scenario: Scenario, chosen: Sequence[str]) -> Plan:
    """What is to be estimated.

    Args:
        scenario: the world, whose parameters say by `param(..., fit=...)` how logs tell them.
        chosen: names among these, or `name=low:high` for any number, which simulated moments then search in that
            range. Empty: all that the world names.

    Raises:
        UnknownName, InvalidParameter: a name that does not exist or is no number, a bad range, or nothing to estimate.
    """
    fields = {f.name: f for f in dataclasses.fields(scenario)}
    marked = {name: f.metadata["fit"] for name, f in fields.items() if f.metadata.get("fit") is not None}
    world, ways = type(scenario).__name__, {}
    for text in chosen or marked:
        name, given, ends = text.partition("=")
        if name not in fields:
            raise unknown(f"parameter of {world}", name, fields)
        if not given and name not in marked:
            known = f"{world} names {', '.join(marked) or 'none'}"
            raise InvalidParameter(f"{name} needs a range to be searched in, {name}=LOW:HIGH; {known}")
        ways[name] = range_of(name, ends) if given else marked[name]
    if not ways:
        raise InvalidParameter(f"{world} does not say what logs tell of it: give --parameters NAME=LOW:HIGH")
    choice = tuple(name for name, way in ways.items() if way == "choice")
    if choice and not isinstance(scenario, ChoosesByLogit):
        raise InvalidParameter(f"{', '.join(choice)}: {world} has no choice_features(log) to fit choices by")
    return Plan(choice, tuple(axis_of(scenario, name, *way) for name, way in ways.items() if way != "choice"))


def range_of(name: str, text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (0.0, 0.0)
    if not colon or not -1e300 < ends[0] < ends[1] < 1e300:
        raise InvalidParameter(f"{name}={text}: a range is LOW:HIGH, two numbers, the lower first")
    return ends


def axis_of(scenario: Scenario, name: str, low: float, high: float) -> Axis:
    """The parameter's axis, its range inside what the world allows."""
    metadata = next(f.metadata for f in dataclasses.fields(scenario) if f.name == name)
    kind = hints(type(scenario))[name]  # type: ignore[arg-type]  # a class is hashable
    if kind not in (int, float):
        raise InvalidParameter(f"{name} is not a plain number, so it has no range to be searched in")
    axis = Axis(name, max(low, metadata["low"]), min(high, metadata["high"]), kind is int)
    if axis.low >= axis.high:
        rule = f"inside [{metadata['low']:g}, {metadata['high']:g}]"
        raise InvalidParameter(f"{name}: the range to search must lie {rule}, not {low:g} to {high:g}")
    return axis
