"""One user as text or as a picture: their state, and the last slate with its responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from recsim_env.fields import Field
from recsim_env.simulator import Simulator

if TYPE_CHECKING:
    from recsim_env.film import Camera

# A camera a user who was ever drawn. They stand here and not in the environment, so that a world nobody looks at
# pays nothing, and copying or pickling an environment never meets a figure.
CAMERAS: WeakKeyDictionary[Simulator, dict[int, Camera]] = WeakKeyDictionary()


def number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def shown(field: Field, record: Any) -> str:
    """A field's value in one line; the ends of a long one."""
    value = record[field.name]
    if field.shape > 8:
        value = [*value[:4].tolist(), "…", *value[-3:].tolist()]
    text = "[" + " ".join(number(v) for v in value) + "]" if field.shape else number(value.item())
    return f"{text} {field.unit}".rstrip()


def lines_of(simulator: Simulator, i: int) -> list[str]:
    """The user's fields, then a line a place of the last slate (the candidates now are already new ones)."""
    scenario, state = simulator.scenario, simulator.state
    life = state.lives[i]
    lines = [f"{type(scenario).__name__}: user {simulator.options.first_user + i}, session {life.session}, "
             f"step {life.step}, engagement {life.engagement:.2f}"]  # fmt: skip
    lines += [f"  {f.name:<12} {shown(f, state.users[i])}" for f in scenario.user_fields()]
    if life.step == 0 and scenario.first_slate == "none":
        return [*lines, "  no slate shown yet"]
    for place in range(scenario.slate_size):
        response = state.responses[i, place]
        told = ", ".join(f"{f.name} {shown(f, response)}" for f in scenario.response_fields())
        lines.append(f"  place {place + 1}: candidate {state.slates[i, place]}: {told}")
    return lines


def picture(simulator: Simulator, i: int) -> Any:
    """(540, 960, 3) uint8, by the camera that films this user."""
    from recsim_env.film import Camera  # here, since matplotlib is optional and slow to import

    cameras = CAMERAS.setdefault(simulator, {})
    if i not in cameras:
        cameras[i] = Camera(simulator, i)
    return cameras[i].picture(simulator)


def render_user(simulator: Simulator, i: int, mode: str) -> Any:
    """User i as text ("ansi") or as a picture ("rgb_array").

    A picture shows the session as far as it was filmed: call it after the reset and after each step.

    Raises:
        RecSimError: a picture without matplotlib.
    """
    return "\n".join(lines_of(simulator, i)) + "\n" if mode == "ansi" else picture(simulator, i)
