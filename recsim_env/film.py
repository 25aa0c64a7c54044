"""A camera on one user: their state, the session so far and the last slate, as pictures that make a film.

Axes, names and ticks are drawn once; a picture draws only what moved on top of them, which makes it fast enough
for a film.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.errors import RecSimError
from recsim_env.fields import Field
from recsim_env.film_parts import GREY, TILES, Panel, Pen, Tiles, told
from recsim_env.render import shown
from recsim_env.simulator import Simulator

WIDTH, HEIGHT, DPI = 960, 540, 100  # pixels
PANELS = 6  # of the user's state; what is left over is told as text
FIRST_STEPS = 20  # the axis of steps begins with so many, and doubles
WIDEST = 1000.0  # a list of whole numbers of a wider range holds ids and the like, which bars do not show
STATE, SESSION = (0.05, 0.405, 0.62, 0.46), (0.73, 0.405, 0.25, 0.46)  # left, bottom, width, height; shares
SLATE = (10.0, 394.0, 940.0, 136.0)  # left, top, width, height; pixels


def new_canvas() -> Any:
    """The canvas of an empty figure.

    Raises:
        RecSimError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise RecSimError('render_mode "rgb_array" needs matplotlib: pip install "recsim-env[render]"') from None
    return FigureCanvasAgg(Figure((WIDTH / DPI, HEIGHT / DPI), dpi=DPI))


def rank(field: Field) -> int:
    """Numbers that move smoothly first, then categories, then lists of small whole numbers; others are text (3)."""
    if not field.whole:
        return 0
    if field.categories:
        return 1 if not field.shape else 2
    return 2 if field.shape and field.high - field.low <= WIDEST else 3


def on_panels(fields: list[Field]) -> list[Field]:
    """The fields that get a panel; where there are none, what else there is."""
    order = [f for f in sorted(fields, key=rank) if f.name != "id"]
    return [f for f in order if rank(f) < 3][:PANELS] or order[:1]


class Camera:
    """Pictures of user i, and the trail of the session as far as it was filmed."""

    def __init__(self, simulator: Simulator, i: int) -> None:
        self.i, self.canvas, self.pen = i, new_canvas(), Pen()
        scenario, self.figure = simulator.scenario, self.canvas.figure
        fields = list(scenario.user_fields())
        self.responses = list(scenario.response_fields())
        self.items = [f for f in scenario.item_fields() if f.name == "id" or (f.seen and f.name != "allowed")]
        self.session = Panel(self.figure.add_axes(SESSION), Field("engagement so far"))
        self.state = self._state_panels(on_panels(fields))
        self.others = [f for f in fields if f not in [panel.field for panel in self.state]]
        self.panels = [*self.state, self.session]
        self.tiles = Tiles(scenario.slate_size, SLATE)
        self.steps, self.background = 0, None
        self._forget(None)

    def _state_panels(self, fields: list[Field]) -> list[Panel]:
        columns = 1 if len(fields) <= 2 else 2
        rows = max(1, -(-len(fields) // columns))
        left, bottom, width, height = STATE
        grid = self.figure.add_gridspec(
            rows, columns, left=left, right=left + width, bottom=bottom, top=bottom + height, hspace=0.9, wspace=0.18
        )
        axes = [self.figure.add_subplot(grid[k // columns, k % columns]) for k in range(len(fields))]
        return [Panel(axis, field) for axis, field in zip(axes, fields, strict=True)]

    def _forget(self, key: int | None) -> None:
        """A new session is on: nothing of it was filmed yet."""
        self.key = key
        self.trail: list[tuple[int, np.ndarray, float]] = []
        self.offers: dict[int, np.ndarray] = {}  # by step the candidates on offer then, of this step and the last

    def picture(self, simulator: Simulator) -> np.ndarray:
        """(540, 960, 3) uint8 of the user as they are now; what was filmed of this session is in the curves."""
        state, life = simulator.state, simulator.state.lives[self.i]
        step, user = int(life.step), state.users[self.i]
        if int(life.key) != self.key or (self.trail and step < self.trail[-1][0]):
            self._forget(int(life.key))
        if self.trail and self.trail[-1][0] == step:
            self.trail.pop()
        self.trail.append((step, user.copy(), float(life.engagement)))
        self.offers = {s: items for s, items in self.offers.items() if s == step - 1}
        self.offers[step] = state.items[self.i].copy()
        return self._draw(self._show_panels(step), simulator, step)

    def _show_panels(self, step: int) -> bool:
        """Whether the frame changed."""
        changed = [panel.show([(s, user[panel.field.name]) for s, user, _ in self.trail]) for panel in self.state]
        changed.append(self.session.show([(s, np.array(engagement)) for s, _, engagement in self.trail]))
        if step <= self.steps and self.background is not None:
            return any(changed)
        while self.steps < max(step, FIRST_STEPS):
            self.steps = max(FIRST_STEPS, 2 * self.steps)
        for panel in self.panels:
            if not panel.is_list:
                panel.axis.set_xlim(-0.02 * self.steps, 1.02 * self.steps)
        return True

    def _draw(self, changed: bool, simulator: Simulator, step: int) -> np.ndarray:
        if changed:
            self.canvas.draw()
            self.background = self.canvas.copy_from_bbox(self.figure.bbox)
        self.canvas.restore_region(self.background)
        for panel in self.panels:
            for artist in panel.moving:
                self.figure.draw_artist(artist)
        image = self.pen.take(np.asarray(self.canvas.buffer_rgba()))
        for panel in self.panels:
            panel.write(self.pen, (WIDTH, HEIGHT))
        self._write(simulator, step)
        return np.array(image)

    def _write(self, simulator: Simulator, step: int) -> None:
        """The texts and the slate; what its items were is known where the step before was filmed."""
        scenario, state = simulator.scenario, simulator.state
        title = (f"{type(scenario).__name__}: user {simulator.options.first_user + self.i}, "
                 f"session {state.lives[self.i].session}, after {step} slate{'s' * (step != 1)}")  # fmt: skip
        self.pen.write(14, 24, title, "title", WIDTH - 28)
        rest = "    ".join(f"{f.name} {shown(f, state.users[self.i])}" for f in self.others)
        self.pen.write(14, 360, rest, "small", WIDTH - 28, GREY)
        if step == 0 and scenario.first_slate == "none":
            self.pen.write(14, 380, "No slate shown yet", "head", WIDTH)
            return
        places, clicks = scenario.slate_size, int((state.responses[self.i]["clicked"] > 0).sum())
        more = f" (the first {TILES} are drawn)" if places > TILES else ""
        told_slate = f"The last slate: {places} place{'s' * (places != 1)}, {clicks} clicked{more}"
        self.pen.write(14, 380, told_slate, "head", WIDTH)
        heads = [self._head(int(position), self.offers.get(step - 1)) for position in state.slates[self.i, :TILES]]
        self.tiles.write(self.pen, heads, self.responses, state.responses[self.i])

    def _head(self, position: int, offered: np.ndarray | None) -> list[str]:
        """An item: its place among the candidates, and what agents see of it."""
        return [f"candidate {position}", *([] if offered is None else [told(f, offered[position]) for f in self.items])]
