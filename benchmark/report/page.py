"""The report as one HTML file, with all that it needs inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from plotly.io import to_json
from plotly.offline import get_plotlyjs

from benchmark.rankings import decimals, span
from benchmark.report.data import Results
from benchmark.report.figures import FIGURES


def page_of(results: Results) -> str:
    """The whole page."""
    figures: dict[str, Any] = {}
    worlds = [section(results, i, world, figures) for i, world in enumerate(results.experiment.worlds)]
    seeds = results.experiment.seeds
    environment = Environment(loader=PackageLoader("benchmark.report", "."), autoescape=True)
    return environment.get_template("report.html.j2").render(
        title=f"{len(results.experiment.agents)} agents in {', '.join(results.experiment.worlds)}",
        subtitle=subtitle(results),
        replicates=f"{seeds} seeds" if seeds > 1 else "the users of one seed",
        worlds=worlds,
        figures=Markup(safe(json.dumps(figures))),
        plotly=Markup(get_plotlyjs()),
        settings=json.dumps(results.told, indent=1),
    )


def safe(text: str) -> str:
    """JSON that may stand in a script: no name in it can end the element."""
    return text.replace("<", "\\u003c")


def subtitle(results: Results) -> str:
    """What all agents got."""
    e, commit = results.experiment, results.told.get("commit")
    version = f"recsim-env {results.told['versions']['recsim-env']}" + (f", commit {commit}" if commit else "")
    budget = f"{e.steps:,} user-steps of training each, {e.seeds} seeds, {e.users:,} evaluation users a seed"
    return f"{budget}, whom nobody trained on. Experiment {results.told['hash']}; {version}."


def section(results: Results, number: int, world: str, figures: dict[str, Any]) -> dict[str, Any]:
    """A world's part of the page; its figures are added to `figures` by their ids."""
    drawn = []
    for name, (title, draw) in FIGURES.items():
        figure = draw(results, world)
        if figure is not None:
            key = f"figure-{number}-{name}"
            figures[key] = json.loads(to_json(figure))
            drawn.append({"id": key, "title": title})
    ranking = results.rankings[world]
    return {
        "id": f"world-{number}",
        "name": world,
        "sentence": sentence(ranking),
        "table": Markup(pd.DataFrame(rows_of(ranking)).to_html(index=False, border=0, escape=True)),
        "figures": drawn,
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
