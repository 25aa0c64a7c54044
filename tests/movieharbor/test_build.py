"""The catalogue: what it holds, what is kept of a build that fails, and who may build."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movieharbor import build
from movieharbor.build import BuildOptions, Built, build_catalogue, read_films, reasons
from movieharbor.catalogue import ABOUT, FOLDER, Catalogue
from movieharbor.ratings import weighted_ratings
from movieharbor.texts import token_counts
from recsim_env.errors import DataError, InvalidParameter, RecSimError, RunFolderError
from recsim_env.files import locked
from tests.movieharbor import words
from tests.movieharbor.made_up import film, write

pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'recsim-env[movieharbor]'")
pytest.importorskip("tiktoken", reason="tiktoken is not installed: pip install 'recsim-env[movieharbor]'")
WORDS = "tests.movieharbor.words:Words"
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "movies_metadata.csv"


def options(path: Path, rows: int, embedding: str = WORDS) -> BuildOptions:
    return BuildOptions(write(path / f"films-{rows}.csv", [film(n) for n in range(1, rows + 1)]), embedding)


def made(options: BuildOptions, out: Path) -> Built:
    return build_catalogue(options, out, lambda done, of: None)


@pytest.fixture(autouse=True)
def forget() -> None:
    words.Words.asked.clear()
    words.Failing.parts = 0


def test_a_catalogue_holds_every_film_with_its_text_and_vector(tmp_path: Path) -> None:
    built = made(options(tmp_path, 40), tmp_path / "out")
    assert built.embedded == 42  # of each film its text, and two lists of genres
    found = Catalogue(tmp_path / "out")
    assert found.films["id"].tolist() == list(range(1, 41)) and found.vectors.shape == (40, words.WIDTH)
    second = found.films.iloc[1]
    assert second["text"].startswith(
        "Title: Film 2 Overview: Number 2 loses a hat, and weeps. Genres: Drama, Crime Rating: "
    )
    assert list(second["genres"]) == ["Drama", "Crime"] and (second["year"], second["imdb"]) == (1982, 2)
    assert second["tokens"] == token_counts([second["text"]])[0] > 10
    of_text, of_genres = (np.array(words.Words().embed_query(t)) for t in (second["text"], "Genres: Drama, Crime"))
    both = of_text / np.linalg.norm(of_text) + 0.5 * of_genres / np.linalg.norm(of_genres)
    np.testing.assert_allclose(found.vectors[1], both / np.linalg.norm(both), rtol=1e-5)
    likeness = found.vectors @ found.vectors[1]
    assert found.nearest.shape == (40, 39) and 1 not in found.nearest[1]
    np.testing.assert_allclose(likeness[found.nearest[1]], np.sort(np.delete(likeness, 1))[::-1], atol=1e-6)
    assert found.about["read"] == 40 and found.about["source"] == "movies_dataset"


def test_weighted_ratings_are_those_of_the_formula() -> None:
    ratings, votes = pd.Series([8.0, 2.0, 6.0]), pd.Series([100, 0, 900])
    assert weighted_ratings(ratings, votes, 100.0, 5.0).tolist() == [6.5, 5.0, 0.9 * 6 + 0.1 * 5]
    quantile = np.quantile([100, 0, 900], 0.95)
    assert weighted_ratings(ratings, votes)[0] == pytest.approx((100 * 8 + quantile * 5) / (100 + quantile))
    assert weighted_ratings(ratings, votes, 100.0, None)[1] == pytest.approx(16 / 3)
    assert weighted_ratings(ratings, votes, 0.0, 5.0).tolist() == [8.0, 5.0, 6.0]


def test_texts_of_too_many_tokens_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [film(1), film(2, overview="hat " * 9000), film(3, overview="<|endoftext|>")]
    films = read_films(BuildOptions(write(tmp_path / "films.csv", rows), WORDS))
    assert films.table["id"].tolist() == [1, 3] and reasons(films) == {"over 8,000 tokens": 1}


def test_what_was_embedded_is_not_embedded_again(tmp_path: Path) -> None:
    made(options(tmp_path, 40), tmp_path / "out")
    assert made(options(tmp_path, 40), tmp_path / "out").embedded == 0
    assert len(words.Words.asked) == 42
    assert made(options(tmp_path, 60), tmp_path / "out").embedded <= 60
    assert len(Catalogue(tmp_path / "out").films) == 60


def test_a_build_that_broke_off_goes_on_and_the_old_catalogue_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(options(tmp_path, 5), tmp_path / "out")
    monkeypatch.setattr("movieharbor.vector_cache.AT_ONCE", 10)
    failing = options(tmp_path, 40, "tests.movieharbor.words:Failing")
    with pytest.raises(DataError, match="connection was lost; what was there is as it was"):
        made(failing, tmp_path / "out")
    assert len(Catalogue(tmp_path / "out").films) == 5
    words.Failing.parts = -10
    assert made(failing, tmp_path / "out").embedded == 32
    assert len(Catalogue(tmp_path / "out").films) == 40 and not list((tmp_path / "out").glob(".*.part"))


def test_a_table_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(options(tmp_path, 5), tmp_path / "out")

    def broken(*_: object) -> str:
        raise OSError("midway")

    monkeypatch.setattr(build, "about", broken)
    with pytest.raises(DataError, match="midway"):
        made(options(tmp_path, 6), tmp_path / "out")
    assert len(Catalogue(tmp_path / "out").films) == 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_costs_nothing(tmp_path: Path, small_disk: Path) -> None:
    made(options(tmp_path, 5), small_disk)
    (small_disk / "filler").write_bytes(
        b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize - 20_000)
    )
    with pytest.raises(DataError, match="could not be written"):
        made(options(tmp_path, 200), small_disk)
    assert len(Catalogue(small_disk).films) == 5
    (small_disk / "filler").unlink()
    made(options(tmp_path, 200), small_disk)
    assert len(Catalogue(small_disk).films) == 200


def test_one_builds_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(RunFolderError, match="in use by another process"):
        made(options(tmp_path, 5), tmp_path / "out")


def test_a_catalogue_of_another_version_is_refused(tmp_path: Path) -> None:
    made(options(tmp_path, 5), tmp_path / "out")
    about = tmp_path / "out" / FOLDER / ABOUT
    about.write_text(json.dumps(json.loads(about.read_text()) | {"version": 0}))
    with pytest.raises(DataError, match="version 0, and this is version 3: build it again"):
        Catalogue(tmp_path / "out")
    about.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        Catalogue(tmp_path / "out")
    with pytest.raises(DataError, match="movieharbor build --out"):
        Catalogue(tmp_path / "nowhere")


def test_mistakes_are_told(tmp_path: Path) -> None:
    good = options(tmp_path, 3)
    for wrong, message in (
        (BuildOptions(good.data, "glove"), "must be minilm, or|must be minilm or module:Class"),
        (BuildOptions(good.data, "json:Nothing"), "json holds no Nothing"),
        (BuildOptions(good.data, "nowhere_at_all:Class"), "install the package"),
        (BuildOptions(good.data, "json:JSONDecoder"), "is no Embeddings"),
        (BuildOptions(good.data, WORDS, least_votes=-1.0), "--least-votes must be a finite number from 0"),
        (
            BuildOptions(good.data, WORDS, least_votes=float("inf")),
            "a finite number from 0, not inf",
        ),
        (BuildOptions(good.data, WORDS, mean_rating=11.0), r"must lie in \[0, 10\]"),
    ):
        with pytest.raises(InvalidParameter, match=message):
            made(wrong, tmp_path / "out")
    with pytest.raises(DataError, match="gave no finite vector for each of 5 texts"):
        made(BuildOptions(good.data, "tests.movieharbor.words:Crooked"), tmp_path / "out")
    none = write(tmp_path / "none.csv", [film(1, title="")])
    with pytest.raises(DataError, match="of 1 rows none is a film that can be used; most often: no title"):
        made(BuildOptions(none, WORDS), tmp_path / "out")


def test_a_damaged_cache_is_told(tmp_path: Path) -> None:
    made(options(tmp_path, 5), tmp_path / "out")
    [kept] = (tmp_path / "out").rglob("*.npz")
    kept.write_bytes(b"PK no")
    with pytest.raises(DataError, match=r"is damaged .* remove it"):
        made(options(tmp_path, 5), tmp_path / "out")


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("lancedb", "tiktoken"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(RecSimError, match=rf"{name}.*pip install 'recsim-env\[movieharbor\]'"):
                made(options(tmp_path, 5), tmp_path / "out")


@pytest.mark.skipif(not REAL.exists(), reason="the 5,000 rows of movies_metadata.csv are not beside this project")
def test_the_real_file_keeps_nearly_all() -> None:
    films = read_films(BuildOptions(REAL, WORDS))
    assert films.read == 5000 and reasons(films) == {"no overview": 30, "the id came before": 1}
    raw = pd.read_csv(REAL, low_memory=False).drop_duplicates("id").set_index("id").loc[films.table["id"]]
    m = raw["vote_count"].quantile(0.95)
    expected = (raw["vote_count"] * raw["vote_average"] + m * 5.0) / (raw["vote_count"] + m)
    np.testing.assert_allclose(films.table["weighted"], expected, rtol=1e-12)
