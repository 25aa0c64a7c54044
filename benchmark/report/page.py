"""The report as one HTML file, with all that it needs inside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from plotly.graph_objects import Figure
from plotly.io import to_json
from plotly.offline import get_plotlyjs

from benchmark.rankings import RANKS, decimals, lines_of, rows_across, span
from benchmark.report.captions import CAPTIONS
from benchmark.report.data import Results
from benchmark.report.figures import FIGURES, looks_of, note_of
from benchmark.report.lives import SEED
from benchmark.report.overall import Overall, profile

Drawn = dict[str, Figure]
ERRORS = ("error, same users", "error, users of their own")  # for whom the table in a file is: too wide for a page


def drawn_of(results: Results, overall: Overall) -> dict[str, Drawn]:
    """Each world's figures by their ids; those of all worlds together under "all"."""
    drawn = {}
    for number, world in enumerate(results.experiment.worlds):
        made = {f"figure-{number}-{name}": draw(results, world) for name, draw in FIGURES.items()}
        drawn[world] = {key: figure for key, figure in made.items() if figure is not None}
    drawn["all"] = {"figure-all-profile": profile(results, overall.scores)} if overall.scores else {}
    return drawn


def page_of(
    results: Results, overall: Overall, drawn: Mapping[str, Drawn], lives: Mapping[str, Any], unlived: str
) -> str:
    """The whole page; lives: what it replays of each world; unlived: why it replays nothing, if so."""
    every = {key: figure for of_world in drawn.values() for key, figure in of_world.items()}
    e = results.experiment
    environment = Environment(loader=PackageLoader("benchmark.report", "."), autoescape=True)
    return environment.get_template("report.html.j2").render(
        title=f"{counted(len(e.agents), 'agent')} in {', '.join(map(e.title, e.worlds))}",
        subtitle=subtitle(results),
        ranks=RANKS,
        replicates=f"{e.seeds} seeds" if e.seeds > 1 else "the users of one seed",
        worlds=[section(results, i, world, drawn[world]) for i, world in enumerate(e.worlds)],
        overall=captioned(drawn["all"]),
        over=Markup(table(rows_across(overall.table))) if overall.scores else "",
        no_scores=overall.why,
        unlived=unlived,
        figures=in_script({key: json.loads(to_json(figure)) for key, figure in every.items()}),
        lives=in_script([lives.get(world) for world in e.worlds]),
        looks=in_script({name: {"color": look[0], "dash": look[1]} for name, look in looks_of(results).items()}),
        pairs=[lives[world]["pair"] if world in lives else () for world in e.worlds],
        seed=SEED,
        script=Markup((Path(__file__).parent / "replay.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
        settings=json.dumps(results.told, indent=1),
    )


def captioned(drawn: Drawn) -> list[dict[str, str]]:
    """Each figure's id, heading and sentences."""
    found = []
    for key, figure in drawn.items():
        title, about = CAPTIONS[key.split("-")[-1]]
        found.append({"id": key, "title": title, "about": about, "note": note_of(figure)})
    return found


def table(rows: Iterable[dict[str, str]]) -> str:
    """Rows as HTML."""
    return str(pd.DataFrame(rows).to_html(index=False, border=0, escape=True))


def in_script(content: Any) -> Markup:
    """A value as it may stand in the page's script."""
    return Markup(safe(json.dumps(content)))


def safe(text: str) -> str:
    """JSON that may stand in a script: no name in it can end the element."""
    return text.replace("<", "\\u003c")


def subtitle(results: Results) -> str:
    """What all agents got."""
    e, commit = results.experiment, results.told.get("commit")
    version = f"recsim-env {results.told['versions']['recsim-env']}" + (f", commit {commit}" if commit else "")
    budget = f"{e.steps:,} user-steps of training each, {counted(e.seeds, 'seed')}, {e.users:,} evaluation users a seed"
    return f"{budget}, whom nobody trained on. Experiment {results.told['hash']}; {version}."


def counted(number: int, noun: str) -> str:
    """So many of them: `1 seed`, `3 seeds`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def section(results: Results, number: int, world: str, drawn: Drawn) -> dict[str, Any]:
    """A world's part of the page."""
    ranking = results.rankings[world]
    rows = [{name: cell for name, cell in row.items() if name not in ERRORS} for row in rows_of(ranking)]
    return {
        "id": f"world-{number}",
        "name": results.experiment.title(world),
        "sentence": sentence(ranking),
        "failed": lines_of(results.failed, world),
        "table": Markup(table(rows)),
        "figures": captioned(drawn),
    }


def sentence(ranking: pd.DataFrame) -> str:
    """Who leads, and by what."""
    first = [str(row["agent"]) for row in ranking.to_dict("records") if not row["below"]]
    best, shared = ranking.iloc[0], (ranking["rank"] == 1).sum() > 1
    d = decimals(float(ranking["engagement"].abs().max()))
    reached = f"{best['engagement']:.{d}f} a session"
    if len(first) > 1:
        others = " and ".join(filter(None, [", ".join(first[1:-1]), first[-1]]))
        close = "is so close" if len(first) == 2 else "are so close"
        return f"{first[0]} has the highest engagement, {reached}; {others} {close} that the difference may be chance."
    more = f", {best['gain']:+.{d}f} over random" if "gain" in ranking and best["agent"] != "random" else ""
    return f"{first[0]} {'has the highest engagement,' if shared else 'leads with'} {reached}{more}."


def rows_of(ranking: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The ranking as text."""
    d = decimals(float(ranking["engagement"].abs().max()))
    for row in ranking.to_dict("records"):
        told = {"rank": str(row["rank"]), "agent": str(row["agent"]), "above": str(row["above"])}
        told["engagement"] = span(row, "engagement", ("low", "high"), f".{d}f")
        if "gain" in row:
            told["over random, same users"] = span(row, "gain", ("gain_low", "gain_high"), f"+.{d}f")
            told[ERRORS[0]] = f"{row['gain_paired_error']:.{d + 1}f}"
            told[ERRORS[1]] = f"{row['gain_unpaired_error']:.{d + 1}f}"
        if "score" in row:
            told["score"] = span(row, "score", ("score_low", "score_high"), ".2f")
        told |= {"length": f"{row['length']:.1f}", "clicks a step": f"{row['click_rate']:.3f}"}
        told["cut"] = f"{100 * row['cut']:.1f} %"
        yield told
