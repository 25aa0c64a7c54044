"""The report as one HTML file, with all that it needs inside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from plotly.graph_objects import Figure
from plotly.io import to_json
from plotly.offline import get_plotlyjs

from benchmark.rankings import decimals, span
from benchmark.report.data import Results
from benchmark.report.figures import FIGURES
from benchmark.report.lives import SEED
from benchmark.report.overall import profile, scores_of

Drawn = dict[str, tuple[str, Figure]]


def drawn_of(results: Results) -> dict[str, Drawn]:
    """Each world's figures by their ids, with their titles; those of all worlds together under "all"."""
    drawn = {}
    for number, world in enumerate(results.experiment.worlds):
        made = {f"figure-{number}-{name}": (title, draw(results, world)) for name, (title, draw) in FIGURES.items()}
        drawn[world] = {key: (title, figure) for key, (title, figure) in made.items() if figure is not None}
    scores, _ = scores_of(results)
    drawn["all"] = {"figure-all-profile": ("Performance profiles", profile(results, scores))} if scores else {}
    return drawn


def page_of(results: Results, drawn: Mapping[str, Drawn], lives: Mapping[str, Any], unlived: str) -> str:
    """The whole page; lives: what it replays of each world; unlived: why it replays nothing, if so."""
    every = {key: figure for of_world in drawn.values() for key, (_, figure) in of_world.items()}
    seeds, (_, no_scores) = results.experiment.seeds, scores_of(results)
    environment = Environment(loader=PackageLoader("benchmark.report", "."), autoescape=True)
    return environment.get_template("report.html.j2").render(
        title=f"{len(results.experiment.agents)} agents in {', '.join(results.experiment.worlds)}",
        subtitle=subtitle(results),
        replicates=f"{seeds} seeds" if seeds > 1 else "the users of one seed",
        worlds=[section(results, i, world, drawn[world]) for i, world in enumerate(results.experiment.worlds)],
        overall=titles_of(drawn["all"]),
        no_scores=no_scores,
        unlived=unlived,
        figures=Markup(safe(json.dumps({key: json.loads(to_json(figure)) for key, figure in every.items()}))),
        lives=Markup(safe(json.dumps([lives.get(world) for world in results.experiment.worlds]))),
        seed=SEED,
        script=Markup((Path(__file__).parent / "replay.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
        settings=json.dumps(results.told, indent=1),
    )


def titles_of(drawn: Drawn) -> list[dict[str, str]]:
    return [{"id": key, "title": title} for key, (title, _) in drawn.items()]


def safe(text: str) -> str:
    """JSON that may stand in a script: no name in it can end the element."""
    return text.replace("<", "\\u003c")


def subtitle(results: Results) -> str:
    """What all agents got."""
    e, commit = results.experiment, results.told.get("commit")
    version = f"recsim-env {results.told['versions']['recsim-env']}" + (f", commit {commit}" if commit else "")
    budget = f"{e.steps:,} user-steps of training each, {e.seeds} seeds, {e.users:,} evaluation users a seed"
    return f"{budget}, whom nobody trained on. Experiment {results.told['hash']}; {version}."


def section(results: Results, number: int, world: str, drawn: Drawn) -> dict[str, Any]:
    """A world's part of the page."""
    ranking = results.rankings[world]
    return {
        "id": f"world-{number}",
        "name": world,
        "sentence": sentence(ranking),
        "table": Markup(pd.DataFrame(rows_of(ranking)).to_html(index=False, border=0, escape=True)),
        "figures": titles_of(drawn),
    }


def sentence(ranking: pd.DataFrame) -> str:
    """Who leads, and by what."""
    first = [str(row["agent"]) for row in ranking.to_dict("records") if row["rank"] == 1]
    best = ranking.iloc[0]
    d = decimals(float(ranking["engagement"].abs().max()))
    if len(first) > 1:
        return f"{', '.join(first)} cannot be told apart at the top, at {best['engagement']:.{d}f} a session and less."
    more = f", {best['gain']:+.{d}f} over random" if "gain" in ranking and best["agent"] != "random" else ""
    return f"{first[0]} leads with {best['engagement']:.{d}f} a session{more}."


def rows_of(ranking: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The ranking as text."""
    d = decimals(float(ranking["engagement"].abs().max()))
    for row in ranking.to_dict("records"):
        told = {"rank": str(row["rank"]), "agent": str(row["agent"])}
        told["engagement"] = span(row, "engagement", ("low", "high"), f".{d}f")
        if "gain" in row:
            told["over random, same users"] = span(row, "gain", ("gain_low", "gain_high"), f"+.{d}f")
            told["error, same users"] = f"{row['gain_paired_error']:.{d + 1}f}"
            told["error, users of their own"] = f"{row['gain_unpaired_error']:.{d + 1}f}"
        if "score" in row:
            told["score"] = span(row, "score", ("score_low", "score_high"), ".2f")
        told |= {"length": f"{row['length']:.1f}", "clicks a step": f"{row['click_rate']:.3f}"}
        told["cut"] = f"{100 * row['cut']:.1f} %"
        yield told
