"""What stands in a picture of a film: a panel a user field, a tile a place of the slate, and the pen that writes.

A panel's frame is drawn once by matplotlib, and its line or bars anew in each picture. Texts that change are
written by Pillow, which comes with matplotlib and writes them ten times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsim_env.fields import Field
from recsim_env.render import number

BLUE, PALE, INK, GREY = "#4477aa", "#dbe7f3", "#111111", "#707070"
TILES = 12  # places of a slate that still get a tile each
Trail = list[tuple[int, np.ndarray]]  # (step, value) as they were filmed


class Pen:
    """Writes on a picture, in pixels from its top left corner."""

    def __init__(self) -> None:
        import matplotlib
        from PIL import ImageFont

        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        names = {"title": ("DejaVuSans-Bold", 17), "head": ("DejaVuSans-Bold", 12), "small": ("DejaVuSans", 11),
                 "tile": ("DejaVuSansMono", 12), "narrow": ("DejaVuSansMono", 10)}  # fmt: skip
        self.fonts = {kind: ImageFont.truetype(str(folder / f"{name}.ttf"), size)
                      for kind, (name, size) in names.items()}  # fmt: skip
        self.draw: Any = None

    def take(self, pixels: np.ndarray) -> Any:
        """Write on a copy of `pixels` (H, W, 4) from now on, an image that is returned."""
        from PIL import Image, ImageDraw

        image = Image.fromarray(pixels).convert("RGB")
        self.draw = ImageDraw.Draw(image)
        return image

    def write(
        self, x: float, y: float, text: str, kind: str, width: float, colour: str = INK, anchor: str = "lm"
    ) -> None:
        """One line, cut to `width` pixels."""
        font = self.fonts[kind]
        if font.getlength(text) > width:
            while text and font.getlength(text + "…") > width:
                text = text[:-1]
            text += "…"
        self.draw.text((x, y), text, fill=colour, font=font, anchor=anchor)


def titled(field: Field) -> str:
    """The name and the unit."""
    return f"{field.name} ({field.unit})" if field.unit and field.unit != field.name else field.name


class Panel:
    """One number over the steps, or a list of numbers as it is now.

    Args:
        axis: matplotlib's, empty.
        field: what is shown, with its name, unit and range.
    """

    def __init__(self, axis: Any, field: Field) -> None:
        self.axis, self.field, self.value = axis, field, ""
        self.is_list = field.shape > 1
        low, high = (0, field.categories - 1) if field.categories else (field.low, field.high)
        self.known = bool(np.isfinite([low, high]).all()) and low < high
        self.span = (float(low), float(high)) if self.known else (0.0, 0.0)
        if self.known:
            self._set_limits(0.06)
        axis.tick_params(labelsize=7, length=2)
        axis.locator_params(axis="y", nbins=4)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        self.moving = self._bars(field.shape) if self.is_list else self._line()

    def _line(self) -> list[Any]:
        self.axis.grid(alpha=0.25)
        self.axis.set_xlabel("slates shown", fontsize=7, labelpad=1)
        self.axis.xaxis.get_major_locator().set_params(integer=True)
        return [
            self.axis.plot([], [], color=BLUE, lw=1.6, animated=True)[0],
            self.axis.plot([], [], "o", color=BLUE, ms=5, animated=True)[0],
        ]

    def _bars(self, count: int) -> list[Any]:
        """A bar a number, all of them one artist: a thousand are as quick as ten."""
        self.axis.axhline(0, color="0.6", lw=0.6)
        self.axis.set_xlim(-0.6, count - 0.4)
        self.axis.xaxis.get_major_locator().set_params(integer=True)
        edges = (np.arange(count)[:, None] + [-0.4, 0.4]).ravel()
        return [self.axis.stairs(np.zeros(2 * count - 1), edges, color=BLUE, fill=True, animated=True)]

    def show(self, trail: Trail) -> bool:
        """Take over what was filmed; whether the frame changed, because the values did not fit."""
        now = np.atleast_1d(trail[-1][1])
        if self.is_list:
            self.moving[0].set_data(np.insert(now.astype(float), np.arange(1, len(now)), 0.0))
            self.value = f"{number(now.min().item())} to {number(now.max().item())}"
            return self._make_room(now)
        steps, values = [step for step, _ in trail], np.array([value for _, value in trail], float).reshape(-1)
        self.moving[0].set_data(steps, values)
        self.moving[1].set_data(steps[-1:], values[-1:])
        self.value = number(now[0].item())
        return self._make_room(values)

    def _make_room(self, values: np.ndarray) -> bool:
        """Widen an axis without known bounds, with room for what may come; 0 stays in sight."""
        low, high = float(np.min(values)), float(np.max(values))
        if self.known or (self.span[0] <= low and high <= self.span[1] and self.span[0] < self.span[1]):
            return False
        room = 0.4 * ((max(high, 0.0) - min(low, 0.0)) or 1.0)
        self.span = (low - room if low < 0 else 0.0, high + room if high > 0 or low >= 0 else 0.0)
        self._set_limits(0.02)
        return True

    def _set_limits(self, pad: float) -> None:
        room = pad * (self.span[1] - self.span[0])  # a line on the edge stays visible
        self.axis.set_ylim(self.span[0] - room, self.span[1] + room)

    def write(self, pen: Pen, pixels: tuple[float, float]) -> None:
        """The name and, where there is room, what it means; at the right the value now."""
        place = self.axis.get_position()
        left, right, y = place.x0 * pixels[0], place.x1 * pixels[0], (1 - place.y1) * pixels[1] - 9
        pen.write(right, y, self.value, "head", 160, BLUE, "rm")
        free = right - left - pen.fonts["head"].getlength(self.value) - 12
        pen.write(left, y, titled(self.field), "head", free)
        rest = free - pen.fonts["head"].getlength(titled(self.field)) - 10
        if self.field.about and pen.fonts["small"].getlength(self.field.about) <= rest:
            pen.write(right - pen.fonts["head"].getlength(self.value) - 12 - rest, y, self.field.about,
                      "small", rest, GREY)  # fmt: skip


def told(field: Field, record: Any) -> str:
    """A field in a few letters: of a list its largest number and where it stands."""
    value = record[field.name]
    if not field.shape:
        return f"{field.name} {number(value.item())}"
    top = int(np.argmax(value))
    return f"{field.name}[{top}] {number(value[top].item())}"


class Tiles:
    """The last slate: a tile a place, in the colour of a click where there was one.

    Args:
        places: the slate's size; those beyond `TILES` get no tile.
        box: left, top, width and height in pixels.
    """

    def __init__(self, places: int, box: tuple[float, float, float, float]) -> None:
        self.count, self.box = min(places, TILES), box
        self.kind, self.line = ("tile", 15) if self.count <= 7 else ("narrow", 14)

    def write(self, pen: Pen, heads: Sequence[list[str]], fields: Sequence[Field], responses: Any) -> None:
        """Each place's `heads` (what was shown), then how it was answered; of a place without a click no zeros."""
        left, top, width, height = self.box
        each = width / self.count
        for place, head in enumerate(heads[: self.count]):
            clicked = float(responses[place]["clicked"]) > 0
            x, answered = left + each * place, responses[place]
            pen.draw.rounded_rectangle((x + 3, top, x + each - 3, top + height), 6, PALE if clicked else "#f5f5f5",
                                       BLUE if clicked else "#bbbbbb", 2 if clicked else 1)  # fmt: skip
            answers = [
                told(f, answered) for f in fields if f.name != "clicked" and (clicked or np.any(answered[f.name]))
            ]
            lines = [*head[:4], "clicked" if clicked else "not clicked", *(a for a in answers if a not in head)]
            for row, line in enumerate(lines[: int(height - 8) // self.line]):
                colour = BLUE if line == "clicked" else INK
                pen.write(x + 8, top + 13 + self.line * row, line, self.kind, each - 13, colour)
