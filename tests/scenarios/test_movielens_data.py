"""MovieLens: what is read, how well it is fitted, and what a damaged download says."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsim_env.errors import DataError
from scenarios.movielens_data import Fitted, load
from scenarios.movielens_files import GENRES_100K
from tests.made_up import GENRES, write_movielens

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "ml-latest-small.zip"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here")


def fit(path: Path, factors: int = 4, min_ratings: int = 5, seed: int = 0) -> Fitted:
    return load(str(path), factors=factors, min_ratings=min_ratings, seed=seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_movielens(tmp_path / "data")


def zipped(folder: Path, path: Path, top: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, top + file.name)
    return path


def test_factors_beat_biases_and_biases_beat_the_mean(folder: Path) -> None:
    fitted = fit(folder)
    assert fitted.rmse < 0.85 * fitted.rmse_biases
    assert fitted.rmse_biases < 0.95 * fitted.rmse_mean


def test_shapes_and_contents(folder: Path) -> None:
    fitted = fit(folder)
    assert fitted.user_ids.tolist() == list(range(1, 41))
    assert fitted.film_ids.tolist() == list(range(10, 610, 10))
    assert fitted.genre_names == GENRES
    assert fitted.titles[3] == 'Film "3", the first (1953)'
    assert fitted.user_factors.shape == (40, 4)
    assert fitted.film_factors.shape == (60, 4)
    assert fitted.profiles.shape == (40, len(GENRES))
    assert np.abs(fitted.profiles).max() <= 1.0
    ratings, movies = pd.read_csv(folder / "ratings.csv"), pd.read_csv(folder / "movies.csv")
    assert fitted.popularity.tolist() == ratings.groupby("movieId").size().tolist()
    listed = ["|".join(np.array(GENRES)[row == 1.0]) for row in fitted.genres]
    assert listed == movies["genres"].tolist()


def test_biases_and_tastes_are_those_that_made_the_ratings(folder: Path) -> None:
    """Without noise of another kind: the mean of a film's ratings, and what a user rates high."""
    fitted = fit(folder)
    ratings = pd.read_csv(folder / "ratings.csv")
    means = ratings.groupby("movieId")["rating"].mean().to_numpy()
    assert np.corrcoef(fitted.mean + fitted.film_bias, means)[0, 1] > 0.95
    guess = fitted.user_bias[:, None] + fitted.film_bias + fitted.user_factors @ fitted.film_factors.T + fitted.mean
    rated = guess[ratings["userId"] - 1, ratings["movieId"] // 10 - 1]
    assert np.corrcoef(rated, ratings["rating"])[0, 1] > 0.85


def test_profile_of_who_likes_one_genre_only(folder: Path) -> None:
    fitted = fit(folder)
    ratings = pd.read_csv(folder / "ratings.csv")
    own = ratings["userId"] == 7
    drama = np.isin(ratings["movieId"], fitted.film_ids[fitted.genres[:, GENRES.index("Drama")] == 1.0])
    ratings.loc[own, "rating"] = np.where(drama[own], 5.0, 1.0)
    ratings.to_csv(folder / "ratings.csv", index=False)
    profile = fit(folder).profiles[6]
    assert profile.argmax() == GENRES.index("Drama")
    assert profile[GENRES.index("Drama")] > 0.5
    assert profile.min() < 0.0


def test_same_seed_same_fit_and_fitted_once(folder: Path, tmp_path: Path) -> None:
    first = fit(folder)
    assert fit(folder) is first
    assert fit(folder, seed=1) is not first
    again = fit(shutil.copytree(folder, tmp_path / "copy"))
    assert again is not first
    assert again.film_factors.tobytes() == first.film_factors.tobytes()
    assert again.rmse == first.rmse


def test_changed_files_are_read_again(folder: Path) -> None:
    first = fit(folder)
    write_movielens(folder, people=30, seed=1)
    assert len(fit(folder).user_ids) == 30 != len(first.user_ids)


@pytest.mark.parametrize("top", ["", "ml-latest-small/"])
def test_zip_is_the_folder(folder: Path, tmp_path: Path, top: str) -> None:
    fitted = fit(zipped(folder, tmp_path / "data.zip", top))
    assert fitted.film_factors.tobytes() == fit(folder).film_factors.tobytes()


def test_films_with_few_ratings_are_left_out(folder: Path) -> None:
    everything = fit(folder, min_ratings=1)
    fitted = fit(folder, min_ratings=25)
    assert fitted.film_ids.tolist() == everything.film_ids[everything.popularity >= 25].tolist()
    assert fitted.popularity.min() >= 25


def test_the_last_of_two_ratings_counts(folder: Path) -> None:
    first = fit(folder)
    ratings = pd.read_csv(folder / "ratings.csv")
    earlier = ratings.assign(rating=0.5).head(3)
    pd.concat([earlier, ratings]).to_csv(folder / "ratings.csv", index=False)
    assert fit(folder).popularity.tolist() == first.popularity.tolist()
    assert fit(folder).mean == first.mean


# -- what is wrong, and what is said -------------------------------------------------------------------


def edit(file: str, change: Callable[[str], str]) -> Callable[[Path], Path]:
    def edited(folder: Path) -> Path:
        (folder / file).write_text(change((folder / file).read_text()))
        return folder

    return edited


def second_rating(text: str, value: str) -> str:
    lines = text.splitlines()
    lines[2] = ",".join([*lines[2].split(",")[:2], value, "0"])
    return "\n".join(lines)


def remove(*files: str) -> Callable[[Path], Path]:
    def removed(folder: Path) -> Path:
        for file in files:
            (folder / file).unlink()
        return folder

    return removed


def truncated(folder: Path) -> Path:
    path = zipped(folder, folder.parent / "data.zip")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def corrupt(folder: Path) -> Path:
    path = zipped(folder, folder.parent / "data.zip")
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    return path


def nested(folder: Path) -> Path:
    return zipped(folder, folder.parent / "data.zip", "one/two/")


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "nowhere", "does not exist; give the path of a folder or zip"),
    "empty folder": (remove("ratings.csv", "movies.csv"), "ratings.csv is not there, only nothing at all"),
    "no movies": (remove("movies.csv"), "movies.csv is not there, only ratings.csv"),
    "truncated zip": (truncated, "is no whole zip file (File is not a zip file); download it again"),
    "corrupt zip": (corrupt, "is no whole zip file"),
    "a file, no zip": (lambda folder: folder / "ratings.csv", "is no zip file; a MovieLens folder or zip"),
    "zip of deep folders": (nested, "must hold ratings.csv once, at its top or in one folder, not 0 times"),
    "other columns": (
        edit("ratings.csv", lambda text: text.replace("userId", "user").replace("rating,", "stars,")),
        "must have the columns userId, movieId, rating; userId, rating is not among user, movieId, stars, timestamp",
    ),
    "tabs": (edit("ratings.csv", lambda text: text.replace(",", "\t")), "must have the columns"),
    "text rating": (edit("ratings.csv", lambda text: second_rating(text, "good")), "line 3: rating must be a number"),
    "NaN rating": (edit("ratings.csv", lambda text: second_rating(text, "NaN")), "from 0.5 to 5, not 'NaN'"),
    "no rating": (edit("ratings.csv", lambda text: second_rating(text, "")), "from 0.5 to 5, not ''"),
    "7 stars": (edit("ratings.csv", lambda text: second_rating(text, "7")), "from 0.5 to 5, not '7.0'"),
    "endless stars": (edit("ratings.csv", lambda text: second_rating(text, "inf")), "from 0.5 to 5, not 'inf'"),
    "text id": (
        edit("movies.csv", lambda text: text.replace("\n20,", "\nx,")),
        "line 3: movieId must be a whole number",
    ),
    "half id": (
        edit("movies.csv", lambda text: text.replace("\n20,", "\n2.5,")),
        "line 3: movieId must be a whole number",
    ),
    "negative id": (edit("movies.csv", lambda text: text.replace("\n20,", "\n-2,")), "0 or more, not '-2'"),
    "empty ratings": (edit("ratings.csv", lambda text: ""), "is empty; it needs a header and rows"),
    "header only": (edit("movies.csv", lambda text: "movieId,title,genres\n"), "holds a header only"),
    "open quote": (edit("movies.csv", lambda text: text + '1,"Film'), "is no table"),
    "a comma too many in the first row": (
        edit("movies.csv", lambda text: "movieId,title,genres\n5,Island, The (1995),Drama\n" + text.split("\n", 1)[1]),
        "line 2 must have 3 cells, as the header has, not 4",
    ),
    "a comma too many in a later row": (
        edit("ratings.csv", lambda text: second_rating(text, "3,5")),
        "line 3 must have 4 cells, as the header has, not 5",
    ),
    "a cell too few": (
        edit("movies.csv", lambda text: text + "9999,Film"),
        "must have 3 cells, as the header has, not 2",
    ),
    "a quote open over two rows": (
        edit("movies.csv", lambda text: text + '700,"Film,Drama\n710,"Film",Drama\n'),
        "line 62: a quote is not closed",
    ),
    "a column twice": (
        edit("ratings.csv", lambda text: text.replace("timestamp", "rating", 1)),
        "names the column 'rating' twice in its header",
    ),
    "unknown film": (
        edit("movies.csv", lambda text: text.replace("\n20,", "\n25,")),
        "every movieId of ratings.csv must be in movies.csv",
    ),
    "few people": (
        edit("ratings.csv", lambda text: "\n".join(x for x in text.splitlines() if x[:2] in ("us", "1,", "2,"))),
        "a film needs min_ratings (5) ratings, but the most that one has is 2; lower min_ratings",
    ),
}


@pytest.mark.parametrize("change", ["{}\n\n\n", "\ufeff{}", "\n\n{}"], ids=["empty last lines", "mark", "first lines"])
def test_empty_lines_and_a_byte_order_mark_cost_nothing(folder: Path, change: str) -> None:
    first = fit(folder)
    for name in ("ratings.csv", "movies.csv"):
        text = (folder / name).read_text()
        (folder / name).write_bytes(change.format(text.replace("\n", "\r\n")).encode())
    assert fit(folder).film_factors.tobytes() == first.film_factors.tobytes()


def test_lines_are_counted_with_empty_ones(folder: Path) -> None:
    lines = (folder / "ratings.csv").read_text().splitlines()
    (folder / "ratings.csv").write_text("\n".join([*lines[:2], "", "1,10,9,0"]))
    with pytest.raises(DataError, match="line 4: rating must be a number"):
        fit(folder)


def old_layout(folder: Path, layout: str) -> Path:
    """The same data as an older release, or RecBole, writes them."""
    ratings, movies = (pd.read_csv(folder / f"{name}.csv") for name in ("ratings", "movies"))
    remove("ratings.csv", "movies.csv")(folder)
    rows = ratings.to_numpy().tolist()
    flags = [[str(int(name in text.split("|"))) for name in GENRES_100K] for text in movies["genres"]]
    titles, ids = movies["title"].tolist(), movies["movieId"].tolist()
    years = movies["title"].str.extract(r" \((\d{4})\)$")[0].tolist()
    names = movies["title"].str.replace(r" \(\d{4}\)$", "", regex=True).tolist()
    u_item = ["|".join([str(i), t, "", "", "", *f]) for i, t, f in zip(ids, titles, flags, strict=True)]
    dat = [f"{i}::{t}::{g}" for i, t, g in zip(ids, titles, movies["genres"], strict=True)]
    item = [
        f"{i}\t{n}\t{y}\t{g.replace('|', ' ')}" for i, n, y, g in zip(ids, names, years, movies["genres"], strict=True)
    ]
    item = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq", *item]
    inter = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    inter += ["\t".join(f"{v:g}" for v in row) for row in rows]
    files = {
        "100K": {"u.data": inter[1:], "u.item": u_item, "u.user": ["1|24|M|technician|85711"]},
        "1M": {"ratings.dat": ["::".join(f"{v:g}" for v in row) for row in rows], "movies.dat": dat},
        "RecBole": {"made.inter": inter, "made.item": item},
    }
    for name, lines in files[layout].items():
        (folder / name).write_bytes(("\n".join(lines) + "\n").encode("utf-8" if layout == "RecBole" else "latin-1"))
    return folder


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("layout", ["100K", "1M", "RecBole"])
def test_other_layouts_are_the_same_data(folder: Path, tmp_path: Path, layout: str, packed: bool) -> None:
    movies = (folder / "movies.csv").read_text().replace("Film 7", "Caf\xe9 7")
    (folder / "movies.csv").write_text(movies, encoding="utf-8")
    first = fit(folder)
    old = old_layout(folder, layout)
    fitted = fit(zipped(old, tmp_path / "old.zip", "ml/") if packed else old)
    assert fitted.titles == first.titles
    assert fitted.genre_names == first.genre_names and np.array_equal(fitted.genres, first.genres)
    assert fitted.film_factors.tobytes() == first.film_factors.tobytes()


def test_a_row_of_an_old_layout_is_told_with_its_line(folder: Path) -> None:
    path = old_layout(folder, "1M") / "ratings.dat"
    path.write_text("1::10::3,5::::0\n" + path.read_text())
    with pytest.raises(DataError, match=r"ratings\.dat .*, line 1 must have 4 cells, as the layout has, not 5"):
        fit(folder)


@pytest.mark.parametrize("name", BAD)
def test_bad_data_says_so_in_one_line(folder: Path, name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(DataError) as error:
        fit(make(folder))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text(folder: Path) -> None:
    (folder / "ratings.csv").write_bytes(b"userId,movieId,rating\n" + bytes(range(128, 256)))
    with pytest.raises(DataError, match="is no table"):
        fit(folder)


def test_too_few_people_for_a_population(folder: Path) -> None:
    ratings = pd.read_csv(folder / "ratings.csv")
    ratings[ratings["userId"] <= 4].to_csv(folder / "ratings.csv", index=False)
    with pytest.raises(DataError, match="a population needs 5 users, but only 4 rated"):
        fit(folder, min_ratings=1)


def test_no_film_with_enough_ratings(folder: Path) -> None:
    with pytest.raises(DataError, match=r"a film needs min_ratings \(99\) ratings, but the most that one has is \d+"):
        fit(folder, min_ratings=99)


@needs_real
def test_real_ratings() -> None:
    start = time.process_time()
    fitted = fit(REAL, factors=16)
    assert time.process_time() - start < 20.0  # about 2 s, with room for a busy machine
    assert fitted.film_ids.shape == (3650,)
    assert fitted.user_ids.shape == (610,)
    assert fitted.genres.shape == (3650, 20)
    assert fitted.rmse < 0.85
    assert fitted.rmse < fitted.rmse_biases - 0.01
    assert fitted.rmse_biases < fitted.rmse_mean - 0.1
    assert fitted.titles[0] == "Toy Story (1995)"
