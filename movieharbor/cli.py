"""The commands of MovieHarbor's catalogue, as `recsim-env movieharbor …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="A catalogue of films: build it, and search in it.", no_args_is_help=True)

MEAN = "mean"
Out = Annotated[Path, typer.Option(help="The folder of the catalogue and of kept embeddings.")]
Count = Annotated[int, typer.Option("--count", "-k", help="How many films.", metavar="N")]
DEFAULT_OUT = Path("runs/films")


@app.command()
def build(
    data: Annotated[
        Path | None, typer.Option(help="movies_metadata.csv of The Movies Dataset. Default: bokeh_sampledata's films.")
    ] = None,
    out: Out = DEFAULT_OUT,
    embedding: Annotated[
        str, typer.Option(help="minilm, or module:Class of a LangChain Embeddings.", metavar="NAME")
    ] = "minilm",
    least_votes: Annotated[
        float | None, typer.Option(help="Votes that weigh as much as the mean rating. Default: their 0.95 quantile.")
    ] = None,
    mean_rating: Annotated[
        str, typer.Option(help="What a film without votes is rated: 0 to 10, or mean.", metavar="C")
    ] = "5",
) -> None:
    """Read films, rate, describe and embed them, and store them; run it again to resume, or to renew."""
    from movieharbor.build import BuildOptions
    from movieharbor.commands import run_build

    run_build(BuildOptions(data, embedding, least_votes, number_or_mean(mean_rating)), out)


@app.command()
def search(
    words: Annotated[str, typer.Argument(help="What to look for.")] = "",
    like: Annotated[int | None, typer.Option(help="The films nearest to the one with this id.", metavar="ID")] = None,
    kind: Annotated[str, typer.Option(help="vector: by meaning (the default); text: by the words.")] = "",
    count: Count = 10,
    genre: Annotated[str, typer.Option(help="Only films of this genre.")] = "",
    year_from: Annotated[int | None, typer.Option(help="Only films of this year and later.", metavar="YEAR")] = None,
    year_to: Annotated[int | None, typer.Option(help="Only films of this year and earlier.", metavar="YEAR")] = None,
    min_rating: Annotated[float | None, typer.Option(help="Only films of this weighted rating and more.")] = None,
    out: Out = DEFAULT_OUT,
) -> None:
    """Films by meaning, by words, or like another one: score, id, title, genres, weighted rating."""
    from movieharbor.catalogue import Wanted
    from movieharbor.commands import run_search

    run_search(words, like, kind, count, Wanted(genre, year_from, year_to, min_rating), out)


@app.command()
def neighbours(
    films: Annotated[
        int | None, typer.Option(help="How many films are looked at. Default: 500, or all there are.", metavar="N")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which films are drawn.", metavar="N")] = 0,
    out: Out = DEFAULT_OUT,
) -> None:
    """How good the vectors are: genres that near films share, and how often an overview finds its film."""
    from movieharbor.commands import run_neighbours

    run_neighbours(films, seed, out)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="A question about films.")],
    model: Annotated[
        str, typer.Option(help="A chat model: openai:gpt-4o-mini and the like, or module:Class of one's own.")
    ] = "",
    count: Count = 8,
    log: Annotated[
        Path | None,
        typer.Option(help="Parquet of recsim-env collect movieharbor: one of its users asks."),
    ] = None,
    user: Annotated[int | None, typer.Option(help="Which user of the log. Default: 0.", metavar="N")] = None,
    out: Out = DEFAULT_OUT,
) -> None:
    """Find films for a question and let a chat model answer from them, naming the films."""
    from movieharbor.commands import run_ask

    run_ask(question, model, count, log, user, out)


def number_or_mean(text: str) -> float | None:
    """A number, or None for the mean."""
    from recsim_env.errors import InvalidParameter

    if text == MEAN:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidParameter(f"--mean-rating must be a number from 0 to 10, or mean, not {text!r}") from None
