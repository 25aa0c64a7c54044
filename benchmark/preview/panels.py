"""The panels of a preview: one matplotlib axis each, titled and labelled so that it can be read alone."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

import numpy as np

from benchmark.preview.items import GROUPS, Histogram, Means, Tally, Values
from benchmark.preview.play import FEW, Followed, Journey, names_of
from benchmark.variety import gini

COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]  # Paul Tol's, for all eyes
GROUP_COLOURS = ("#bbbbbb", "#4477aa", "#ee6677")
SHOWN_VALUES = 24  # bars a panel at most
TOP = 15  # of values that are too many for a bar each
WIDEST = 1000  # the range of a list of whole numbers that are amounts and not ids
LETTERS = 62  # of the sentence over a panel that is a third as wide as the picture
PARTS = 24  # of a histogram, as drawn
POINTS = 120  # of a curve by slate, as drawn
STEPS = "slates shown so far"


def titled(axis: Any, name: str, about: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """The name in bold, and under it a sentence in grey, cut where the panel ends."""
    axis.set_title(name, loc="left", fontsize=11, fontweight="bold", pad=20 if about else 6)
    if about:
        axis.text(0, 1.025, about, transform=axis.transAxes, fontsize=9, color="0.4", va="bottom", in_layout=False)
    axis.set_xlabel(xlabel, fontsize=9)
    axis.set_ylabel(ylabel, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def above(axis: Any) -> None:
    """The legend right of the title, where it hides nothing."""
    from matplotlib.transforms import ScaledTranslation

    up = axis.transAxes + ScaledTranslation(0, 16 / 72, axis.figure.dpi_scale_trans)
    axis.legend(loc="lower right", bbox_to_anchor=(1.01, 1.0), bbox_transform=up, ncols=7, fontsize=8, frameon=False,
                handlelength=1.0, columnspacing=0.9, borderpad=0.0)  # fmt: skip


# -- the session -------------------------------------------------------------------------------------------


def draw_survival(axis: Any, journey: Journey, last: int) -> None:
    """The share of users still in session after 0, 1, … slates."""
    share = np.array(journey.left[: last + 1]) / journey.left[0]
    half, longest = float(journey.table["length"].median()), int(journey.table["length"].max())
    about = f"half last {half:.0f} slates or fewer, the longest {longest}"
    if journey.table["length"].nunique() == 1:
        about = f"all last {longest} slates"
    titled(axis, "Still in session", about, STEPS, "share of users")
    axis.fill_between(np.arange(len(share)), share, step="post", color=COLOURS[0], alpha=0.15, lw=0)
    axis.step(np.arange(len(share)), share, where="post", color=COLOURS[0], lw=2)
    axis.set_ylim(0, 1.04)


def draw_by_slate(axis: Any, name: str, values: list[float], got: list[int], last: int) -> None:
    """The mean over those who `got` the slate; a long session's slates several together, so that noise is less."""
    width = -(-last // POINTS)
    starts = np.arange(0, last, width)
    weights = np.array(got[:last], float)
    means = np.add.reduceat(np.array(values[:last]) * weights, starts) / np.add.reduceat(weights, starts)
    together = f", {width} slates together" * (width > 1)
    titled(axis, name, f"mean over the users who got the slate{together}", "slate", "mean")
    middles = (starts + np.minimum(starts + width, last) + 1) / 2
    axis.plot(middles, means, color=COLOURS[0], lw=1.6, marker="o" if len(means) < 30 else None)
    axis.set_ylim(min(0.0, 1.1 * float(means.min())), 1.15 * max(float(means.max()), 1e-9))


def draw_places(axis: Any, journey: Journey) -> None:
    """How often each place of the slate is clicked."""
    rates = journey.place_clicks
    places = np.arange(1, len(rates) + 1)
    titled(axis, "Clicks by place", "share of the slates on which the place was clicked", "place, 1 is the top",
           "share of slates")  # fmt: skip
    bars = axis.bar(places, rates, color=COLOURS[0], width=0.7)
    axis.grid(visible=False, axis="x")
    axis.margins(y=0.15)
    room = max(0.0, (4 - len(rates)) / 2)  # a single bar is not the whole panel
    axis.set_xlim(0.4 - room, len(rates) + 0.6 + room)
    if len(rates) <= 12:
        axis.set_xticks(places)
        axis.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)


# -- users' state -------------------------------------------------------------------------------------------


def drawn_fields(journey: Journey, most: int) -> list[Followed]:
    """The fields worth a panel: those that tell users apart; what changes first, lists of whole numbers last."""
    worth = [f for f in journey.followed.values() if f.spread and not is_list_of_ids(f)]
    return sorted(worth, key=lambda f: (not f.moves, f.field.whole and not f.is_shares))[:most]


def is_list_of_ids(trace: Followed) -> bool:
    """Lists of categories, or of whole numbers of a wide range, such as the last films: their size means nothing."""
    field = trace.field
    return field.shape > 1 and field.whole and (field.categories > 0 or not field.high - field.low <= WIDEST)


def draw_state(axis: Any, trace: Followed, last: int) -> None:
    """A user field after 0, 1, … slates."""
    field = trace.field
    unit = field.unit if field.unit != field.name else ""
    about = f"{'seen by agents' if field.seen else 'hidden'}; {field.about}".removesuffix("; ")
    titled(axis, field.name, shorten(about, LETTERS, placeholder=" …"), STEPS,
           unit or ("share of users" if trace.is_shares else "value"))  # fmt: skip
    quantiles = np.array(trace.quantiles[: last + 1])  # (T, 3, curves)
    if trace.is_shares:
        draw_shares(axis, quantiles[:, 1])
        return
    for k, name in enumerate(names_of(field)):
        colour = COLOURS[k % len(COLOURS)]
        axis.fill_between(
            np.arange(len(quantiles)), quantiles[:, 0, k], quantiles[:, 2, k], color=colour, alpha=0.2, lw=0
        )
        axis.plot(np.arange(len(quantiles)), quantiles[:, 1, k], color=colour, lw=2,
                  label=f"{name} of {field.shape}" if field.shape > FEW else name)  # fmt: skip
    if field.shape > 1:
        above(axis)
    else:
        draw_examples(axis, np.array(trace.examples[: last + 1])[:, :, 0])


def draw_examples(axis: Any, lines: np.ndarray) -> None:
    """A few users as thin lines (T, users), with a dot where a session ended."""
    for line in lines.T:
        known = np.flatnonzero(~np.isnan(line))
        axis.plot(line, color="0.25", lw=0.6, alpha=0.8)
        if len(known) < len(line):
            axis.plot(known[-1:], line[known[-1:]], "o", color="0.25", ms=3.5)


def draw_shares(axis: Any, shares: np.ndarray) -> None:
    """The share of users in each category (T, categories), one on the other; the rarest ones together."""
    order = np.sort(np.argsort(-shares.mean(0), kind="stable")[: len(COLOURS) - 1])
    parts = [*shares[:, order].T]
    labels = [str(k) for k in order]
    if len(order) < shares.shape[1]:
        parts, labels = [*parts, 1.0 - shares[:, order].sum(1)], [*labels, "others"]
    axis.stackplot(np.arange(len(shares)), parts, labels=labels, colors=COLOURS[: len(labels)], alpha=0.85)
    above(axis)
    axis.set_ylim(0, 1)


# -- items --------------------------------------------------------------------------------------------------


def draw_items(axis: Any, tally: Tally) -> None:
    """What was on offer, shown and clicked, of one thing that agents see of items."""
    if isinstance(tally, Histogram):
        draw_histogram(axis, tally)
    elif isinstance(tally, Means):
        means = tally.counts / np.maximum(tally.weights, 1e-12)[:, None]
        titled(axis, tally.title, "mean of each number", "number", "mean")
        draw_groups(axis, means, np.abs(means[1] - means[0]), "those that differ most between on offer and shown")
    elif isinstance(tally, Values):
        shares = tally.counts / np.maximum(tally.counts.sum(1, keepdims=True), 1e-12)
        shown = f"{(tally.counts[1] > 0).sum():,} of {tally.counts.shape[1]:,} are ever shown"
        about = f"{shown}; Gini of what is shown {gini(tally.counts[1]):.2f}"
        titled(
            axis, "Which items, by id" if tally.title == "id" else f"Which {tally.title}", about, tally.title, "share"
        )
        draw_groups(axis, shares, shares[1], "shown most", tally.low)


def draw_groups(axis: Any, values: np.ndarray, worth: np.ndarray, chosen: str, low: int = 0) -> None:
    """Three bars a value (3, V): on offer, shown, clicked; where there are too many the `TOP` of most worth."""
    count = values.shape[1]
    picked = np.arange(count) if count <= SHOWN_VALUES else np.argsort(-worth, kind="stable")[:TOP]
    places = np.arange(len(picked))
    for row, name in enumerate(GROUPS):
        axis.bar(places + 0.28 * (row - 1), values[row, picked], 0.28, color=GROUP_COLOURS[row], label=name)
    axis.set_xticks(places, [str(low + k) for k in picked], rotation=90 if low + picked.max() > 999 else 0)
    axis.grid(visible=False, axis="x")
    axis.margins(x=0.01)
    if count > SHOWN_VALUES:
        axis.set_xlabel(f"{axis.get_xlabel()}: the {TOP} {chosen}", fontsize=9)


def draw_histogram(axis: Any, tally: Histogram) -> None:
    """The part of the range in which anything lies, in `PARTS` parts or so."""
    inside = np.flatnonzero(tally.counts.any(axis=0))
    first, stop = int(inside[0]), int(inside[-1]) + 1
    width = max(1, (stop - first) // PARTS)
    stop = first + width * -(-(stop - first) // width)
    counts = np.pad(tally.counts, ((0, 0), (0, width)))[:, first:stop].reshape(len(GROUPS), -1, width).sum(2)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1e-12)
    low, high = tally.field.low, tally.field.high
    edges = low + (high - low) * np.arange(first, stop + 1, width) / tally.counts.shape[1]
    titled(axis, tally.title, tally.field.about, f"{tally.title} {tally.field.unit}".strip(), "share")
    for row, name in enumerate(GROUPS):
        axis.stairs(shares[row], edges, color=GROUP_COLOURS[row], fill=row == 0, lw=2, label=name,
                    alpha=0.6 if row == 0 else 1.0)  # fmt: skip


def draw_catalogue(axis: Any, ids: Values, features: np.ndarray) -> None:
    """The mean of each column of the catalogue's features (num_items, F)."""
    known = min(len(features), ids.counts.shape[1])
    means = ids.counts[:, :known] @ features[:known] / np.maximum(ids.counts[:, :known].sum(1, keepdims=True), 1e-12)
    titled(axis, "Features of the catalogue", "mean of each column", "column", "mean")
    draw_groups(axis, means, np.abs(means[1] - means[0]), "that differ most between on offer and shown")
