"""The results as a page of Markdown with one picture: immediate reward against engagement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.rankings import decimals
from benchmark.results.plan import CHANGED, REFERENCES, ROUNDS, STEPS, WORLDS, is_supervised
from benchmark.results.tables import BUDGET, WorldResults, best_supervised, now_and_in_the_end, ranking
from recsim_env.files import whole

PICTURE = "results.png"
ROOM = np.array([0.24, 0.03])  # for a name, as shares of the panel
HEAD = """# Results

Every agent in {worlds}, evaluated on users nobody trained on, the same for all. `make results` makes this page out
of the figures of each run in [{folder}]({folder}); `make results WORLD=…` measures one world anew. An agent's name is
followed by the settings that are not its defaults; `rounds={rounds}` is refitted after each share of the budget, on
what it showed itself. Those that read texts or look at pictures (p5, content_text, content_image, llm) are left out,
since these worlds have none; ease is in movielens alone.

- *engagement*: the sum of rewards of a session, mean over seeds, with Student's t interval over seeds (95 %).
- *score*: 0 is random, 1 is `patient_oracle`, which sees everything and plans; it may be exceeded.
- *now*: the expected reward of one slate, on states that random slates lead to, the same states for all agents.
- *diversity*: one less the mean cosine of two items shown in a session.
- *updates* of the optimiser, and *seconds* of one core in training, validations included.
"""
TABLE = "| agent | engagement | seeds | score | length | clicks a step | now | diversity | updates | seconds |"

CAPTION = (
    "Blue are agents that look ahead, orange their twins with gamma 0, from which the arrows come, green supervised "
    "recommenders, grey all others. Where names would cover each other, one stands for its neighbours."
)
TWINS = (
    "| agent | twin's reward now less its own | twin's engagement less its own | over myopic_oracle | "
    "over the hardest supervised one | shown |"
)
MEANING = (
    "Each agent that looks ahead, beside its twin with gamma 0 and beside those who know what is liked now, seed by "
    "seed. *Shown* is that what is best now is not what is best in the end: the twin surely earns no less at once and "
    "surely less in the end, and the agent surely engages more than myopic_oracle and every supervised recommender."
)


def span(low: float, high: float, digits: int, sign: str = "") -> str:
    """An interval, or nothing where one seed leaves it open."""
    return "" if pd.isna(low) or abs(low) == float("inf") else f" ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"


def table_of(results: WorldResults) -> list[str]:
    """The ranking as lines of Markdown."""
    ranked = ranking(results)
    d = decimals(float(ranked["engagement"].max()))
    lines = [TABLE, "|---|" + "---|" * (TABLE.count("|") - 2)]
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
    """Each agent beside its twin that looks no step ahead, and beside those who know what is liked now."""
    d = decimals(float(results.runs["engagement"].max()))
    lines = [TWINS, "|---|" + "---|" * (TWINS.count("|") - 2)]
    for row in now_and_in_the_end(results).to_dict("records"):
        cells = [
            f"{row[name]:+.{digits}f}{span(row[f'{name}_low'], row[f'{name}_high'], digits, '+')}"
            for name, digits in (("now", 3), ("end", d), ("over_oracle", d), ("over_supervised", d))
        ]
        lines.append(f"| {row['agent']} | {' | '.join(cells)} | {'yes' if row['shown'] else 'no'} |")
    return lines


def lesson(results: WorldResults) -> str:
    """What the world teaches, in two sentences made of its figures."""
    table = ranking(results)
    ranked, d = table.set_index("agent")["engagement"], decimals(float(table["engagement"].max()))
    best, supervised = (
        ranked.drop(["patient_oracle", "myopic_oracle", "random"]).index[0],
        best_supervised(results.runs),
    )
    first = (
        f"**{best}** earns {ranked[best]:.{d}f} a session; {supervised}, the best of the supervised recommenders, "
        f"which learn what is liked now, {ranked[supervised]:.{d}f}; showing everybody what they like best at once "
        f"{ranked['myopic_oracle']:.{d}f}; random slates {ranked['random']:.{d}f}; patient_oracle "
        f"{ranked['patient_oracle']:.{d}f}."
    )
    shown = [row["agent"] for row in now_and_in_the_end(results).to_dict("records") if row["shown"]]
    if not shown:
        return f"{first} That looking ahead costs nothing now and pays in the end does not show here for any agent."
    return f"{first} Who looks no step ahead earns as much at once, and less in the end: {', '.join(shown)}."


def missing_from(results: WorldResults) -> list[str]:
    """A paragraph that names the agents of the plan that have not been measured, where there are any."""
    planned = results.world.agents(quick=results.runs["steps"].iloc[0] != STEPS)
    missing = [label for label in planned if label not in set(results.runs["agent"])]
    if not missing:
        return []
    changed = sorted({kind for kind in (label.partition("@")[0] for label in missing) if kind in CHANGED})
    why = f" Rows from before they were changed were taken out of {', '.join(changed)}." if changed else ""
    return [f"**Not measured here so far**, so that this may change: {', '.join(missing)}.{why}", ""]


def section(name: str, results: WorldResults) -> list[str]:
    """A world's part of the page."""
    parameters = "".join(f" --set {k}={v}" for k, v in results.world.parameters.items())
    steps, users = (int(results.runs[column].iloc[0]) for column in BUDGET)
    budget = f"{steps:,} user-steps of training, {users:,} users a seed to evaluate on."
    planned = results.twins == results.world.twins()  # else it is of a plan before this one
    note = [results.world.note, ""] if results.world.note and planned else []
    note += [results.world.caution, ""] if results.world.caution else []
    return [
        f"## {name}", "", f"`{results.world.scenario}{parameters}`; {budget} {WORLDS[name].question}", "",
        lesson(results), "", *note, *missing_from(results), *table_of(results), "", MEANING, "", *twins_of(results), "",
    ]  # fmt: skip


def write_page(measured: Mapping[str, WorldResults], report: Path) -> None:
    """Write the page and its picture beside it."""
    worlds = f"{len(measured)} worlds" if len(measured) > 1 else "one world"
    head = HEAD.format(worlds=worlds, folder=report.stem, rounds=ROUNDS)
    lines = [head, f"![Immediate reward against engagement]({PICTURE})", "", CAPTION, ""]
    for name, results in measured.items():
        lines += section(name, results)
    draw(measured, report.with_name(PICTURE))
    with whole(report) as part:
        part.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


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
    ranked, twins = ranking(results).set_index("agent"), results.twins
    spread = ranked[["immediate", "engagement"]].max() - ranked[["immediate", "engagement"]].min()
    named: list[np.ndarray] = []  # where a name stands, as shares of the panel
    for agent in sorted(map(str, ranked.index), key=lambda agent: (agent not in twins, agent not in REFERENCES)):
        place = ranked.loc[agent, ["immediate", "engagement"]]
        colour = "tab:blue" if agent in twins else "tab:orange" if agent in twins.values() else "tab:gray"
        colour = "tab:green" if is_supervised(agent) else colour
        panel.scatter(*place, s=18, color=colour, zorder=3)
        here = (place / spread).to_numpy(float)
        free = all((np.abs(here - there) > ROOM).any() for there in named)
        if free and agent not in twins.values() and "@rounds" not in agent:
            named.append(here)
            panel.annotate(short_name(agent, twins), place, (3, 3), textcoords="offset points", fontsize=7)
    for agent, twin in twins.items():
        ends = [(ranked.loc[label, "immediate"], ranked.loc[label, "engagement"]) for label in (agent, twin)]
        panel.annotate("", ends[0], ends[1], arrowprops={"arrowstyle": "->", "color": "tab:blue", "alpha": 0.5})
    left, right, width = ranked["immediate"].min(), ranked["immediate"].max(), spread["immediate"]
    panel.set_xlim(left - 0.06 * width, right + ROOM[0] * width)  # with room for the names of those at the right
    panel.set(title=name, xlabel="expected reward of one slate, now", ylabel="engagement of a session, in the end")


def short_name(agent: str, twins: Mapping[str, str]) -> str:
    """Its kind, and its last setting where it is not the one of its kind that has a twin."""
    kind, *settings = agent.split("@")
    return kind if agent in twins or not settings else f"{kind}@{settings[-1]}"
