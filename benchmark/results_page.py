"""The results as a page of Markdown with one picture: immediate reward against engagement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.bench import decimals
from benchmark.results_plan import SUPERVISED, WORLDS
from benchmark.results_tables import WorldResults, now_and_in_the_end, ranking
from recsim_env.files import whole

PICTURE = "results.png"
HEAD = """# Results

Every agent in {count}, trained with {steps:,} user-steps and evaluated on {users:,} users nobody trained on, the same
for all. `{command}` makes this page. An agent's name is followed by the settings that are not its defaults.

- *engagement*: the sum of rewards of a session, mean over seeds, with Student's t interval over seeds (95 %).
- *score*: 0 is random, 1 is `patient_oracle`, which sees everything and plans; it may be exceeded.
- *now*: the expected reward of one slate, on states that random slates lead to, the same states for all agents.
- *diversity*: one less the mean cosine of two items shown in a session.
- *updates* of the optimiser and *seconds* of training, its validations included, beside another run on two cores.
"""
COLUMNS = "| agent | engagement | seeds | score | length | clicks a step | now | diversity | updates | seconds |"


def span(low: float, high: float, digits: int, sign: str = "") -> str:
    """An interval, or nothing where one seed leaves it open."""
    return "" if pd.isna(low) or abs(low) == float("inf") else f" ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"


def table_of(results: WorldResults) -> list[str]:
    """The ranking as lines of Markdown."""
    ranked = ranking(results)
    d = decimals(float(ranked["engagement"].max()))
    lines = [COLUMNS, "|---|" + "---|" * (COLUMNS.count("|") - 2)]
    for row in ranked.to_dict("records"):
        lines.append(
            f"| {row['agent']} | {row['engagement']:.{d}f}{span(row['low'], row['high'], d)} | {row['seeds']} "
            f"| {row['score']:.2f} | {row['length']:.1f} | {row['click_rate']:.3f} | {row['immediate']:.3f} "
            f"| {number(row['diversity'], 2)} | {row['updates']:,.0f} | {row['seconds']:,.0f} |"
        )
    return lines


def number(value: float, digits: int) -> str:
    return "–" if pd.isna(value) else f"{value:.{digits}f}"


def twins_of(results: WorldResults) -> list[str]:
    """Each agent's twin that looks no step ahead, beside it."""
    lines = ["| gamma 0 less the agent itself | now | engagement | now against in the end |", "|---|---|---|---|"]
    for row in now_and_in_the_end(results).to_dict("records"):
        shown = "yes" if row["now"] >= 0 and row["end_high"] < 0 else "no"
        lines.append(
            f"| {row['agent']} | {row['now']:+.3f}{span(row['now_low'], row['now_high'], 3, '+')} "
            f"| {row['end']:+.1f}{span(row['end_low'], row['end_high'], 1, '+')} | {shown} |"
        )
    return lines


def lesson(results: WorldResults) -> str:
    """What the world teaches, in a sentence made of its figures."""
    ranked = ranking(results).set_index("agent")["engagement"]
    references = ["patient_oracle", "myopic_oracle", "random"]
    learners = ranked.drop(references)
    supervised = learners[[name for name in learners.index if name.partition("@")[0] in SUPERVISED]]
    return (
        f"**{learners.index[0]}** earns {learners.iloc[0]:.1f} a session, where the best supervised recommender, "
        f"{supervised.idxmax()}, which learns what is liked now, gets {supervised.max():.1f}, showing everybody what "
        f"they like best at once gets {ranked['myopic_oracle']:.1f}, random slates {ranked['random']:.1f}, and "
        f"patient_oracle {ranked['patient_oracle']:.1f}."
    )


def section(name: str, results: WorldResults) -> list[str]:
    """A world's part of the page."""
    parameters = "".join(f" --set {k}={v}" for k, v in results.world.parameters.items())
    ties = "yes: the twin is not worse now, and surely worse in the end."
    return [
        f"## {name}", "", f"`{results.world.scenario}{parameters}`. {WORLDS[name].question}", "", lesson(results), "",
        *table_of(results), "", f"Each agent that looks ahead, and its twin with gamma 0; {ties}", "",
        *twins_of(results), "",
    ]  # fmt: skip


def write_page(measured: Mapping[str, WorldResults], quick: bool, report: Path) -> None:
    """Write the page and its picture beside it."""
    first = next(iter(measured.values())).experiment
    worlds = f"{len(measured)} worlds" if len(measured) > 1 else "one world"
    command = "make results" + (" QUICK=1" if quick else "")
    head = HEAD.format(count=worlds, steps=first.steps, users=first.users, command=command)
    lines = [head, f"![Immediate reward against engagement]({PICTURE})", ""]
    for name, results in measured.items():
        lines += section(name, results)
    draw(measured, report.with_name(PICTURE))
    with whole(report) as part:
        part.write_text("\n".join(lines), encoding="utf-8")


def draw(measured: Mapping[str, WorldResults], path: Path) -> None:
    """A panel a world: each agent a point, its reward now against its engagement; arrows lead from twins to agents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4 * min(2, len(measured)), 4.6 * -(-len(measured) // 2)), layout="constrained")
    panels: Any = figure.subplots(-(-len(measured) // 2), min(2, len(measured)), squeeze=False).ravel()
    for panel in panels[len(measured) :]:
        panel.set_visible(False)
    for panel, (name, results) in zip(panels, measured.items(), strict=False):
        draw_world(panel, name, results)
    with whole(path) as part:
        figure.savefig(part, dpi=130, format="png")


def draw_world(panel: Any, name: str, results: WorldResults) -> None:
    ranked, twins = ranking(results).set_index("agent"), results.world.twins()
    for agent, row in ranked.iterrows():
        kind = str(agent).partition("@")[0]
        colour = "tab:blue" if agent in twins else "tab:orange" if agent in twins.values() else "tab:gray"
        colour = "tab:green" if kind in SUPERVISED else colour
        panel.scatter(row["immediate"], row["engagement"], s=18, color=colour, zorder=3)
        if agent not in twins.values() and "@rounds" not in str(agent):
            panel.annotate(kind, (row["immediate"], row["engagement"]), (3, 3), textcoords="offset points", fontsize=6)
    for agent, twin in twins.items():
        ends = [(ranked.loc[label, "immediate"], ranked.loc[label, "engagement"]) for label in (agent, twin)]
        panel.annotate("", ends[0], ends[1], arrowprops={"arrowstyle": "->", "color": "tab:blue", "alpha": 0.5})
    panel.set(title=name, xlabel="expected reward of one slate, now", ylabel="engagement of a session, in the end")
