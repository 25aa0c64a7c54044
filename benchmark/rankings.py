"""Rankings on the terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark.aggregates import bootstrap_interval, interquartile_mean, probability_of_improvement
from benchmark.evaluation import COLUMNS
from benchmark.experiment import Experiment
from benchmark.folder import Failed
from benchmark.listing import table, terminal
from benchmark.scores import FLOOR, REFERENCE, NoScore, normalised, score_matrix
from benchmark.statistics import rank_agents

RANKS = (
    "Agents share a rank where no test tells them apart, directly or by way of agents between them; the column above "
    "counts the agents with a lower mean that an agent is told apart from. All pairs are compared on the same users, "
    "at 5 % for the whole table; each interval is a 95 % interval by itself."
)


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The ranking, with normalised scores where the references are there and lie apart."""
    ranking = rank_agents(table)
    if REFERENCE not in set(ranking["agent"]):
        return ranking
    try:
        return ranking.merge(normalised(table), on="agent")
    except NoScore as why:
        print(why, file=sys.stderr)
        return ranking


def decimals(largest: float) -> int:
    """Digits after the point that show about three digits of the largest engagement, and one at least."""
    return min(6, max(1, 2 - math.floor(math.log10(largest)))) if largest > 0 else 1


def print_measures(results: pd.DataFrame) -> None:
    """What the world measures of users at their session's end, where it does."""
    measures = results.dropna(axis=1, how="all").columns.drop([*COLUMNS, "agent", "scenario"], errors="ignore")
    if not len(measures):
        return
    made = table("", "agent", *measures)
    for agent, means in results.groupby("agent", sort=False)[list(measures)].mean().iterrows():
        made.add_row(str(agent), *(f"{mean:.3f}" for mean in means))
    print("\nWhat the world measures at the session's end, means over users:")
    terminal().print(made)


def span(row: Mapping[Any, Any], value: str, ends: tuple[str, str], form: str) -> str:
    """A figure of a row and its interval."""
    return f"{row[value]:{form}} ({row[ends[0]]:{form}} to {row[ends[1]]:{form}})"


def print_ranking(
    experiment: Experiment, world: str, people: str, ranking: pd.DataFrame, failed: Failed | None = None
) -> None:
    """The ranking of one group of people of a world on the terminal, and which of its runs failed."""
    group = "" if people == "all" else f", {people} people"
    replicate = f"{experiment.seeds} seeds" if experiment.seeds > 1 else "users of one seed"
    title = (
        f"{experiment.title(world)}{group}: engagement of a session, 95 % intervals over {replicate} "
        f"({experiment.users:,} users a seed, {experiment.steps:,} user-steps of training)"
    )
    made = table("", "rank", "agent", "above", "engagement", "over random, same users", "length", "clicks a step")
    d = decimals(float(ranking["engagement"].abs().max()))
    for row in ranking.to_dict("records"):
        gain = span(row, "gain", ("gain_low", "gain_high"), f"+.{d}f") if "gain" in ranking else ""
        engagement = span(row, "engagement", ("low", "high"), f".{d}f")
        own = (f"{row['length']:.1f}", f"{row['click_rate']:.3f}")
        made.add_row(str(row["rank"]), str(row["agent"]), str(row["above"]), engagement, gain, *own)
    console = terminal()
    console.print(title, highlight=False)
    console.print(made)
    console.print(RANKS, style="dim")
    for line in lines_of(failed or [], world):
        console.print(line, style="yellow", highlight=False)
    cut = float(ranking["cut"].max())
    if cut > 0:
        console.print(f"Up to {100 * cut:.1f} % of an agent's sessions were cut at the horizon.", style="yellow")
    if "gain" in ranking:
        print_scores(ranking, d)


def lines_of(failed: Failed, world: str) -> list[str]:
    """A line for each run of a world that failed."""
    return [f"Failed, and not in the ranking: {why}." for run, why in failed if run.scenario == world]


def print_scores(ranking: pd.DataFrame, d: int) -> None:
    """What pairing is worth, and scores where there are some."""
    scored = "score" in ranking
    made = table("", "agent", *(("score",) if scored else ()), "error, same users", "error, users of their own")
    for row in ranking[ranking["agent"] != FLOOR].to_dict("records"):
        score = (span(row, "score", ("score_low", "score_high"), ".2f"),) if scored else ()
        errors = (f"{row[f'gain_{kind}_error']:.{d + 1}f}" for kind in ("paired", "unpaired"))
        made.add_row(str(row["agent"]), *score, *errors)
    console = terminal()
    console.print(f"\nThe standard error of what an agent earns over {FLOOR}, as it is and unpaired:", highlight=False)
    console.print(made)
    if scored:
        console.print(f"Score: 0 is {FLOOR}, 1 is {REFERENCE}; it may be exceeded.", style="dim")


def across(scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row an agent, best first: agent, score (interquartile mean), score_low, score_high, beats_first.

    scores: each agent's (seeds, worlds); intervals are bootstrapped. beats_first: how likely its run scores more than
    one of the first agent's in the same world; 0.5 for the first itself.
    """
    rng, ordered = np.random.default_rng(0), sorted(scores, key=lambda name: -interquartile_mean(scores[name]))
    rows = []
    for name in ordered:
        low, high = bootstrap_interval(interquartile_mean, [scores[name]], rng)
        beats = probability_of_improvement(scores[name], scores[ordered[0]])
        rows.append((name, interquartile_mean(scores[name]), low, high, beats))
    return pd.DataFrame(rows, columns=["agent", "score", "score_low", "score_high", "beats_first"])


def rows_across(over: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The table over all worlds as text."""
    for row in over.to_dict("records"):
        score = span(row, "score", ("score_low", "score_high"), ".2f")
        beats = f"{100 * row['beats_first']:.0f} %"
        yield {"agent": str(row["agent"]), "interquartile mean of scores": score, "beats the first": beats}


def print_across(results: pd.DataFrame) -> None:
    """The agents over all worlds, by their scores; nothing but the reason where there are none."""
    known = {str(world): own[own["people"] == own["people"].iloc[0]] for world, own in results.groupby("scenario")}
    console = terminal()
    try:
        rows = list(rows_across(across(score_matrix(known))))
    except NoScore as why:
        console.print(f"\nNothing over all worlds: {why}", highlight=False)
        return
    made = table("", *rows[0])
    for row in rows:
        made.add_row(*row.values())
    console.print(f"\nOver {len(known)} worlds, of all runs' scores:", highlight=False)
    console.print(made)
    console.print("Bootstrapped over seeds; with few seeds too narrow, see docs/statistics.md.", style="dim")
