"""What the commands `recsim-env movieharbor …` do."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from movieharbor.ask import answer, chat_model, watched_in
from movieharbor.build import DROPPED, BuildOptions, build_catalogue, reasons
from movieharbor.catalogue import FOLDER, KINDS, Catalogue, Wanted, check_count
from movieharbor.embedding import find_embedder
from movieharbor.neighbours import found_by_overview, sharing
from movieharbor.texts import has_stray_bytes
from recsim_env.errors import InvalidParameter, unknown

NEAREST = (1, 5, 10)
MOST_DRAWN = 500  # films that `neighbours` looks at where it is not told how many
TOLD = 10  # lines of progress where there is no terminal


def run_build(options: BuildOptions, out: Path) -> None:
    """Build, with a progress bar, and tell what was read, kept and left out."""
    began = time.monotonic()
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left"))
    told = 0

    def tell(done: int, of: int) -> None:
        nonlocal told
        bars.update(task, completed=done, total=of)
        if not sys.stdout.isatty() and TOLD * done // max(1, of) > told:
            told = TOLD * done // of
            print(f"{done:,} of {of:,} texts embedded", flush=True)

    try:
        with Progress(*columns, disable=not sys.stdout.isatty(), transient=True) as bars:
            task = bars.add_task("")
            built = build_catalogue(options, out, tell)
    except KeyboardInterrupt:
        print("what is embedded is kept; run it again to go on", file=sys.stderr)
        raise
    films = built.films
    print(f"{films.read:,} rows read, {len(films.table):,} films kept, {len(films.dropped):,} left out")
    for reason, count in reasons(films).items():
        print(f"  {count:,}: {reason}")
    took = f"{time.monotonic() - began:.1f} s"
    print(f"{built.embedded:,} texts of films and of their genres embedded, the others were before; {took}")
    print(f"Catalogue: {out / FOLDER}. What was left out, row by row: {out / FOLDER / DROPPED}")


def run_search(words: str, like: int | None, kind: str, count: int, wanted: Wanted, out: Path) -> None:
    """Print the films found.

    Raises:
        InvalidParameter: neither words nor a film to search by, or both; or an unknown kind.
    """
    if (like is None) == (not words.strip()):
        raise InvalidParameter("a search needs words, or --like with the id of a film, and not both")
    if kind not in ("", *KINDS):
        raise unknown("kind of search", kind, KINDS)
    if like is not None and kind:
        raise InvalidParameter("--kind goes with words; --like always searches by the film's vector")
    check_text(words)
    check_count(count)
    wanted.check()
    catalogue = Catalogue(out)
    if like is not None:
        found = catalogue.like(like, count, wanted)
    elif kind == "text":
        found = catalogue.by_words(words, count, wanted)
    else:
        vector = find_embedder(str(catalogue.about["embedding"])).embed([words])[0]
        found = catalogue.by_vector(vector, count, wanted)
    print_films(found)


def check_text(words: str) -> None:
    """Raises `InvalidParameter` where the terminal gave bytes that are no text."""
    if has_stray_bytes(words):
        raise InvalidParameter("the words are no text in UTF-8; type them again, or set the terminal's encoding")


def run_ask(question: str, model: str, count: int, log: Path | None, user: int | None, out: Path) -> None:
    """Print the films found, and what a chat model says of them, or that there is none.

    Raises:
        InvalidParameter: a user without a log, or what a search cannot take.
    """
    if user is not None and log is None:
        raise InvalidParameter(f"--user {user} is one of a log's; name it with --log")
    check_text(question)
    check_count(count)
    catalogue = Catalogue(out)
    watched = watched_in(log, user or 0, len(catalogue.films)) if log else []
    embedder = find_embedder(str(catalogue.about["embedding"]))
    made = answer(question, catalogue, embedder, count, chat_model(model), watched)
    if made.text:
        print(made.text)
        print(f"\nFilms named: {', '.join(map(str, made.cited)) or 'none'}. Found for the question:")
        if made.made_up:
            print(f"Taken out of the answer: {len(made.made_up)} ids of films that it was not told of")
    else:
        print("No chat model is configured (--model); these films were found:")
    print_films(made.films)


def run_neighbours(films: int | None, seed: int, out: Path) -> None:
    """Print how many genres near films share, and how often an overview finds its film."""
    if seed < 0:
        raise InvalidParameter(f"--seed must be 0 or more, not {seed}")
    catalogue = Catalogue(out)
    films = min(MOST_DRAWN, len(catalogue.films)) if films is None else films
    rows = sharing(catalogue, films, NEAREST, seed).to_dict("records")
    print("| neighbours | genres in common | with any film | ratio |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['count']} | {row['near']:.2f} | {row['chance']:.2f} | {row['ratio']:.2f} |")
    found = found_by_overview(catalogue, find_embedder(str(catalogue.about["embedding"])), films, seed)
    print(f"\nOf {films:,} films {100 * found:.1f} % are the nearest to their own overview.")


def print_films(found: pd.DataFrame) -> None:
    """A line a film."""
    console = Console(width=None if sys.stdout.isatty() else 160, emoji=False, markup=False, highlight=False)
    for film in found.to_dict("records"):
        year = f" ({film['year']})" if film["year"] else ""
        console.print(
            f"{film['score']:6.3f}  {film['id']:>7}  {film['title']}{year}  {', '.join(film['genres'])}  "
            f"{film['weighted']:.1f}",
            soft_wrap=True,
        )
    if found.empty:
        console.print("no film is like that")
