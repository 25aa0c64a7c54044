"""Films out of broken files: a clear error or a counted row each, and nothing in a cell is run."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from movieharbor.bokeh_films import described, read_bokeh_films
from movieharbor.films import COLUMNS as WANTED
from movieharbor.genres import LONGEST, NoGenres, genres_of
from movieharbor.movies_dataset import read_movies
from recsim_env.errors import DataError
from tests.movieharbor.made_up import COLUMNS, film, write


@pytest.mark.parametrize(
    ("cell", "genres"),
    [
        ("[{'id': 35, 'name': 'Comedy'}, {'id': 18, 'name': 'Drama'}]", ("Comedy", "Drama")),
        ('[{"id": 35, "name": "Comedy"}, {"id": 1, "name": "Comedy"}]', ("Comedy",)),
        ("[{'name': \"Children's\"}]", ("Children's",)),
        ("[]", ()),
    ],
)
def test_genres_are_literals_or_json(cell: str, genres: tuple[str, ...]) -> None:
    assert genres_of(cell) == genres


def test_no_cell_of_genres_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "run"
    code = f"[__import__('pathlib').Path({str(trace)!r}).touch()]"
    for cell in (code, f"[{{'name': open({str(trace)!r}, 'w').name}}]", "[" * 500, "9" * LONGEST + "9", "{}", "[1]", "",
                 "[{'id': 3}]", "[{'name': ''}]", "[{'name': 7}]", "[{'name': 'Com", "{'a': " * 400):  # fmt: skip
        with pytest.raises(NoGenres):
            genres_of(cell)
    assert not trace.exists()


BROKEN = {
    "another number of columns": film(1)[:-1],
    "a cell of over 100,000 characters": film(2, overview="x" * 10_000_000),
    "not UTF-8": film(3, overview="caf\udce9"),
    "the id is no whole number": film(4, id="1997-08-20"),
    "no title": film(5, title=" "),
    "the id came before": film(100, title="Again"),
    "no overview": film(7, overview="No overview found."),
    "genres that cannot be read": film(8, genres="__import__('os').abort()"),
    "no rating from 0 to 10 with its number of votes": film(9, vote_average="11"),
}


def test_a_broken_row_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file).writerows([COLUMNS, film(100), *BROKEN.values(), film(101)])
    films = read_movies(path)
    assert films.table["title"].tolist() == ["Film 100", "Film 101"] and list(films.table) == WANTED
    assert dict(zip(films.dropped["reason"], films.dropped["row"], strict=True)) == {
        reason: row for row, reason in enumerate(BROKEN, start=2)
    }
    assert films.read == len(BROKEN) + 2


def test_a_file_that_was_cut_off_loses_its_last_row(tmp_path: Path) -> None:
    path = write(tmp_path / "films.csv", [film(n, overview="a\nb, 'c'") for n in range(1, 6)])
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rindex("a\nb") + 2], encoding="utf-8")
    films = read_movies(path)
    assert films.table["id"].tolist() == [1, 2, 3, 4]
    assert films.dropped["reason"].tolist() == ["cut off: the file ends within it"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"columns id, imdb_id, .* are missing; it has a, b"):
        read_movies(tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="are missing; it has none"):
        read_movies(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="holds no films"):
        read_movies(write(tmp_path / "header.csv", []))
    with pytest.raises(DataError, match="there is no file"):
        read_movies(tmp_path / "nowhere.csv")
    (tmp_path / "picture.csv").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(DataError, match="no text in UTF-8"):
        read_movies(tmp_path / "picture.csv")
    (tmp_path / "zip.csv").write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(DataError, match="is a zip file"):
        read_movies(tmp_path / "zip.csv")
    (tmp_path / "wide.csv").write_text("a,b", encoding="utf-16")
    with pytest.raises(DataError, match="is text in UTF-16"):
        read_movies(tmp_path / "wide.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_movies(tmp_path)


def test_nothing_that_steers_a_terminal_and_no_impossible_year_is_kept(tmp_path: Path) -> None:
    evil = film(1, title="Evil \x1b[31mRED\x1b[0m \n newline", overview="a\x07\tb", release_date="99999-01-01")
    table = read_movies(write(tmp_path / "films.csv", [evil, film(2, release_date="1995")])).table
    assert table["title"].iloc[0] == "Evil [31mRED [0m newline" and table["overview"].iloc[0] == "a b"
    assert table["year"].tolist() == [0, 1995]


def test_signs_that_turn_or_hide_others_are_not_kept(tmp_path: Path) -> None:
    films = [
        film(1, title="Film\u202e exe.gpj\u202c", overview="\u2066a\u200b b\u2069 \ufeffc\u061c\u200e\U000e0041"),
        film(2, title="\u200b\u200f"),
        film(3, title="\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
    ]
    read = read_movies(write(tmp_path / "films.csv", films))
    assert read.table["title"].tolist() == ["Film exe.gpj", films[2][COLUMNS.index("title")]]
    assert read.table["overview"].iloc[0] == "a b c"
    assert read.dropped["reason"].tolist() == ["no title"]


def test_the_films_of_bokeh_need_no_file() -> None:
    pytest.importorskip("bokeh_sampledata", reason="bokeh_sampledata is not installed: recsim-env[movieharbor]")
    films = read_bokeh_films()
    assert films.read == 17_472 and len(films.table) > 15_000
    assert films.table["id"].is_unique and films.table["rating"].between(0, 10).all()
    assert (films.table["genres"].map(len) > 0).all() and films.table["imdb"].gt(0).mean() > 0.99


def test_people_and_year_stand_for_a_plot() -> None:
    assert described(1999.0, "A B", "C D, E, F, G, H") == "A film of 1999 by A B with C D, E, F, G."
    assert described(float("nan"), None, None) == "A film."
