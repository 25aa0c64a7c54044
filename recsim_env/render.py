"""One user as text or as a picture: their state, and the last slate with its responses."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.errors import RecSimError
from recsim_env.fields import Field
from recsim_env.simulator import Simulator

WIDTH, HEIGHT, DPI = 6.4, 4.8, 100


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


def picture(simulator: Simulator, i: int) -> np.ndarray:
    """(480, 640, 3) uint8: a panel a user field, with the slate below."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise RecSimError('render_mode "rgb_array" needs matplotlib: pip install "recsim-env[render]"') from None
    fields = list(simulator.scenario.user_fields())[:6]
    figure = Figure((WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(fields) + 1, 1, squeeze=False, height_ratios=[1.0] * len(fields) + [1.6])[:, 0]
    for axis, field in zip(axes, fields, strict=False):
        draw_field(axis, field, np.atleast_1d(simulator.state.users[i][field.name]))
    lines = lines_of(simulator, i)
    figure.suptitle(lines[0], fontsize=9)
    axes[-1].axis("off")
    below = [line.strip() for line in lines[1 + len(list(simulator.scenario.user_fields())) :]]
    axes[-1].text(0, 1, "\n".join(line[:100] for line in below[:8]), va="top", fontsize=7, family="monospace")
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def draw_field(axis: Any, field: Field, values: np.ndarray) -> None:
    """Bars, upright for several numbers and lying for one; the range is the field's where it has one."""
    if field.shape:
        axis.bar(np.arange(len(values)), values, color="#4477aa")
        if np.isfinite([field.low, field.high]).all():
            axis.set_ylim(field.low, field.high)
    else:
        axis.barh([0], values, color="#ee6677")
        axis.set_yticks([])
        if np.isfinite([field.low, field.high]).all() and field.low < field.high:
            axis.set_xlim(field.low, field.high)
    axis.set_ylabel(field.name, rotation=0, ha="right", va="center", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.axhline(0, color="0.6", lw=0.5)


def render_user(simulator: Simulator, i: int, mode: str) -> Any:
    """User i as text ("ansi") or as a picture ("rgb_array")."""
    return "\n".join(lines_of(simulator, i)) + "\n" if mode == "ansi" else picture(simulator, i)
