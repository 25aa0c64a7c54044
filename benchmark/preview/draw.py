"""One picture of what users go through with an agent: the session, their state, and what they were shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmark.preview.items import GROUPS, Values
from benchmark.preview.panels import (
    COLOURS,
    GROUP_COLOURS,
    draw_by_slate,
    draw_catalogue,
    draw_items,
    draw_places,
    draw_state,
    draw_survival,
    drawn_fields,
)
from benchmark.preview.play import EXAMPLES, MOST, Journey
from recsim_env.errors import RecSimError

Draw = Callable[[Any], None]
WIDTH, DPI = 16.0, 100  # inches, dots an inch
STATES, ITEMS = 6, 3  # panels at most
RARE = 0.02  # quantiles over fewer of the users are noise, and not drawn


def check_matplotlib() -> None:
    """Raise `RecSimError` where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RecSimError('a preview needs matplotlib: pip install "recsim-env[render]"') from None


def last_drawn(journey: Journey) -> int:
    """The last slate that is drawn: after it too few are left, or enough is drawn."""
    enough = [t for t, left in enumerate(journey.left) if left >= max(1.0, RARE * journey.left[0])]
    return min(enough[-1] + 1, MOST)


def session_panels(journey: Journey, last: int) -> list[Draw]:
    panels: list[Draw] = [partial(draw_survival, journey=journey, last=last)]
    same = np.allclose(journey.rewards, journey.clicks)
    if not same:
        panels.append(
            partial(draw_by_slate, name="Reward of a slate", values=journey.rewards, got=journey.left, last=last)
        )
    name = "Clicks on a slate (the reward)" if same else "Clicks on a slate"
    panels.append(partial(draw_by_slate, name=name, values=journey.clicks, got=journey.left, last=last))
    return [*panels, partial(draw_places, journey=journey)]


def item_panels(journey: Journey) -> list[Draw]:
    panels: list[Draw] = [partial(draw_items, tally=tally) for tally in journey.tallies]
    features = journey.scenario.catalogue_features
    ids = [tally for tally in journey.tallies if isinstance(tally, Values) and tally.title == "id"]
    if features is not None and ids and not np.array_equal(features, np.eye(len(features))):  # ids once more
        panels.insert(1, partial(draw_catalogue, ids=ids[0], features=features))
    return panels[:ITEMS]


def notes(journey: Journey, last: int) -> str:
    """What the picture leaves out."""
    drawn = [trace.field.name for trace in drawn_fields(journey, STATES)]
    missing = [name for name in journey.followed if name not in drawn]
    parts = []
    if len(journey.left) - 1 > last:
        parts.append(f"Drawn up to slate {last}: {journey.left[last]:,} of {journey.left[0]:,} users went on, "
                     f"the longest to slate {len(journey.left) - 1:,}.")  # fmt: skip
    if missing:
        parts.append(f"Not drawn of the state (all alike, lists of ids, or one panel too many): {', '.join(missing)}.")
    return "  ".join(parts)


def headline(journey: Journey) -> str:
    """The means of the sessions in a line."""
    table = journey.table
    line = (f"a session: engagement {table['engagement'].mean():,.2f}, {table['length'].mean():,.1f} slates, "
            f"{table['clicks'].sum() / table['length'].sum():.2f} clicks a slate; "
            f"{100 * (1 - table['cut'].mean()):.0f} % of users left")  # fmt: skip
    return line + (f", {100 * table['cut'].mean():.0f} % were cut by the horizon" if table["cut"].any() else "")


def draw(journey: Journey, name: str) -> np.ndarray:
    """(H, W, 3) uint8; `name` says whose sessions they are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure_of(journey, name))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


def figure_of(journey: Journey, name: str) -> Any:
    """A section under a section: the session, the users' state, the items."""
    from matplotlib.figure import Figure

    last = last_drawn(journey)
    states: list[Draw] = [partial(draw_state, trace=trace, last=last) for trace in drawn_fields(journey, STATES)]
    sections = [("The session", session_panels(journey, last), 4), ("What is on offer, shown and clicked",
                item_panels(journey), ITEMS)]  # fmt: skip
    if states:
        sections.insert(1, ("The users' state", states, 3))
    rows = [-(-len(panels) // columns) for _, panels, columns in sections]
    height = 1.0 + sum(0.5 + 2.7 * r for r in rows)
    figure = Figure((WIDTH, height), dpi=DPI, layout="constrained")
    figure.suptitle(f"{name}\n", x=0.01, ha="left", fontsize=17, fontweight="bold")
    figure.text(0.01, 1 - 0.52 / height, headline(journey), fontsize=12, color="0.25", va="center")
    parts = figure.subfigures(len(sections), 1, height_ratios=[0.5 + 2.7 * r for r in rows], squeeze=False)[:, 0]
    for part, (title, panels, columns) in zip(parts, sections, strict=True):
        draw_section(part, title, panels, columns)
    figure.supxlabel(notes(journey, last), x=0.01, ha="left", fontsize=9, color="0.4")
    return figure


def draw_section(part: Any, title: str, panels: list[Draw], columns: int) -> None:
    """A heading, a legend where the section has one, and the panels side by side."""
    part.set_facecolor("white")
    part.suptitle(title, x=0.01, ha="left", fontsize=13, color=COLOURS[0], fontweight="bold")
    columns = min(columns, len(panels))
    axes = part.subplots(-(-len(panels) // columns), columns, squeeze=False).ravel()
    for axis, panel in zip(axes, panels, strict=False):
        panel(axis)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    handles = legend_of(title)
    if handles:
        part.legend(handles=handles, loc="upper right", ncols=len(handles), fontsize=9, frameon=False)


def legend_of(title: str) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if "state" in title:
        return [
            Line2D([], [], color=COLOURS[0], lw=2, label="median of users still in session"),
            Patch(color=COLOURS[0], alpha=0.2, label="10 % to 90 % of them"),
            Line2D([], [], color="0.25", lw=0.6, marker="o", ms=3.5, label=f"{EXAMPLES} users; a dot: session over"),
        ]
    if "offer" in title:
        return [Patch(color=colour, label=name) for name, colour in zip(GROUPS, GROUP_COLOURS, strict=True)]
    return []
