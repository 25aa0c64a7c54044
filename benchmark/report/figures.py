"""The report's figures: one function each, from a world's part of the results to a Plotly figure.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; agents also differ in dash and symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from benchmark.report.data import Results
from benchmark.statistics import interval

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F", "#F0E442")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")
MOST_KINDS = 60  # of items that are drawn one by one
FAINT = 0.15
LEAST_SEEDS = 3  # from which on a curve has a band: of two seeds the t is 12.7, and the band all that one sees
NO_BANDS = f"Intervals over seeds are drawn as bands from {LEAST_SEEDS} seeds on."
BANDS = "The bands are 95 % intervals over seeds."
FURTHER = (
    "Some intervals reach beyond the axis, which is kept short so that the means can be told apart; see the table."
)

Draw = Callable[[Results, str], Figure | None]


def looks_of(results: Results) -> dict[str, tuple[str, str, str]]:
    """Each agent's colour, dash and symbol, the same in every figure."""
    agents = list(results.experiment.agents)
    return {
        agent: (COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)], SYMBOLS[i % len(SYMBOLS)])
        for i, agent in enumerate(agents)
    }


def plain(x: str, y: str, height: int = 420, below: int = 90) -> Figure:
    """An empty figure with so much `below` the axis, for a legend; its inks come from the page, which may be dark."""
    figure = Figure()
    figure.update_layout(
        template="none", height=height, margin={"l": 60, "r": 10, "t": 10, "b": below}, xaxis_title=x, yaxis_title=y,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": -0.3, "yanchor": "top"},
    )  # fmt: skip
    return figure


def of_world(table: pd.DataFrame, world: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """A world's agents, best first, with their rows."""
    own = table[table["scenario"] == world]
    for agent, rows in own.groupby("agent", sort=False):
        yield str(agent), rows


def engagement(results: Results, world: str) -> Figure:
    """Each agent's engagement with its interval over seeds."""
    ranking = results.rankings[world]
    figure = plain("engagement of a session", "", 100 + 34 * len(ranking), 50)
    looks = looks_of(results)
    for row in ranking.to_dict("records"):
        colour, _, symbol = looks[row["agent"]]
        ends = {"array": [row["high"] - row["engagement"]], "arrayminus": [row["engagement"] - row["low"]]}
        bar = {**ends, "type": "data", "symmetric": False} if np.isfinite(row["high"]) else None
        figure.add_scatter(
            x=[row["engagement"]], y=[row["agent"]], error_x=bar, mode="markers", name=row["agent"], showlegend=False,
            marker={"color": colour, "symbol": symbol, "size": 11},
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed", automargin=True)
    reach = axis_of(ranking)
    if reach:
        figure.update_xaxes(range=reach)
        note(figure, FURTHER)
    return figure


def axis_of(ranking: pd.DataFrame) -> tuple[float, float] | None:
    """An axis of the means' span and as much on either side, where an interval reaches further; else None."""
    low, high = float(ranking["engagement"].min()), float(ranking["engagement"].max())
    spread = high - low
    lows, highs = (ranking[end][np.isfinite(ranking[end])] for end in ("low", "high"))
    if not spread > 0 or lows.empty or (lows.min() >= low - spread and highs.max() <= high + spread):
        return None
    edge = 0.05 * spread  # beside a mark or an interval's end
    return max(float(lows.min()), low - spread) - edge, min(float(highs.max()), high + spread) + edge


def note(figure: Figure, text: str) -> None:
    """Keep a sentence that the page shows below the figure."""
    figure.update_layout(meta={"note": text})


def note_of(figure: Figure) -> str:
    return str((figure.layout.meta or {}).get("note", ""))


def curves(results: Results, world: str) -> Figure | None:
    """Engagement of validation users while agents train, mean over seeds and its interval."""
    own = results.curves[results.curves["curve"] == "eval/engagement"]
    figure, looks = (
        plain("user-steps of training", "engagement, validation users"),
        looks_of(results),
    )
    for agent, rows in of_world(own, world):
        colour, dash, _ = looks[agent]
        by_step = rows.groupby("step")["value"]
        steps, mean = list(by_step.groups), by_step.mean().to_numpy()
        spans = np.array([interval(values.to_numpy()) for _, values in by_step])
        banded = rows["seed"].nunique() >= LEAST_SEEDS and np.isfinite(spans).all()
        if banded:
            figure.add_scatter(
                x=[*steps, *steps[::-1]], y=[*spans[:, 1], *spans[::-1, 0]], mode="lines", fill="toself",
                fillcolor=colour, opacity=FAINT, line={"width": 0}, hoverinfo="skip", showlegend=False,
            )  # fmt: skip
        figure.add_scatter(x=steps, y=mean, mode="lines", name=agent, line={"color": colour, "dash": dash})
        note(figure, BANDS if banded else NO_BANDS)
    return figure if figure.data else None


def now_and_in_the_end(results: Results, world: str) -> Figure | None:
    """The expected reward of one slate against the engagement of a session: a point a run of those that learn."""
    last = results.curves[results.curves["curve"] == "eval/immediate_reward"].groupby(["scenario", "agent", "seed"])
    now = last["value"].last().reset_index()
    ends = results.users.groupby(["scenario", "agent", "seed"])["engagement"].mean().reset_index()
    figure = plain("expected reward of the next slate", "engagement of a session")
    looks = looks_of(results)
    for agent, rows in of_world(now.merge(ends), world):
        colour, _, symbol = looks[agent]
        look = {"color": colour, "symbol": symbol, "size": 10}
        figure.add_scatter(x=rows["value"], y=rows["engagement"], mode="markers", name=agent, marker=look)
    return figure if figure.data else None


def survival(results: Results, world: str) -> Figure:
    """The share of sessions that go on after so many steps."""
    figure, looks = plain("steps", "share of sessions that go on"), looks_of(results)
    for agent, rows in of_world(results.users, world):
        colour, dash, _ = looks[agent]
        lengths = np.sort(rows["length"].to_numpy())
        steps = np.unique(np.r_[0, lengths])
        share = 1.0 - np.searchsorted(lengths, steps, side="right") / len(lengths)
        line = {"color": colour, "dash": dash, "shape": "hv"}
        figure.add_scatter(x=steps, y=share, mode="lines", name=agent, line=line)
    return figure


def diversity(results: Results, world: str) -> Figure | None:
    """How different the items of a session are, and the entropy of what is clicked."""
    figure, looks = (
        plain("how much the items shown differ", "kinds clicked, entropy in bits"),
        looks_of(results),
    )
    for agent, rows in of_world(results.users, world):
        colour, _, symbol = looks[agent]
        x, y = rows["diversity"].mean(), rows["entropy"].mean()
        if np.isfinite([x, y]).all():
            look = {"color": colour, "symbol": symbol, "size": 12}
            figure.add_scatter(x=[x], y=[y], mode="markers", name=agent, marker=look)
    return figure if figure.data else None


def shown(results: Results, world: str) -> Figure | None:
    """What each agent shows: shares of kinds of items, or of the most shown ids."""
    own = results.items[results.items["scenario"] == world]
    counts = own.pivot_table(index="agent", columns="item", values="shown", aggfunc="sum", fill_value=0)
    most = counts.sum().nlargest(MOST_KINDS).index.sort_values()
    shares = counts[most].div(counts.sum(axis=1), axis=0)
    if shares.empty:
        return None
    figure = plain("item, or kind of items", "", 100 + 26 * len(shares), 50)
    values, names = shares.to_numpy(), [str(item) for item in most]
    heat = {"x": names, "y": shares.index, "z": values, "zmin": 0, "zmax": values.max(), "colorscale": "Cividis"}
    figure.add_heatmap(**heat, colorbar={"title": "share"})
    figure.update_yaxes(automargin=True)
    return figure


FIGURES: dict[str, Draw] = {
    "engagement": engagement,
    "curves": curves,
    "now": now_and_in_the_end,
    "survival": survival,
    "diversity": diversity,
    "shown": shown,
}
