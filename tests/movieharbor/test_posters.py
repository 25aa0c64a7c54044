"""Posters: drawn ones are told apart by genre and time, and those of a folder are taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movieharbor.posters import SIDE, drawn_posters, read_posters
from recsim_env.errors import DataError

GENRES = ["Comedy", "Drama", "Horror"]
FILMS = pd.DataFrame(
    {"id": range(60), "genres": [[GENRES[k % 3]] for k in range(60)], "year": [1925, 1955, 1975, 2000] * 15}
)


def test_drawn_posters_are_the_same_each_time_and_tell_genres() -> None:
    made = drawn_posters(FILMS, GENRES)
    assert made.shape == (60, SIDE, SIDE, 3) and made.dtype == np.uint8
    assert np.array_equal(made, drawn_posters(FILMS, GENRES))
    modern = made[3::4].astype(float).mean(axis=(1, 2))  # of one time: the mean colour alone tells three genres
    of_genre = np.stack([modern[(FILMS["id"][3::4] % 3 == k).to_numpy()].mean(axis=0) for k in range(3)])
    nearest = ((modern[:, None] - of_genre) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == FILMS["id"][3::4] % 3).mean() >= 0.8


def test_old_posters_have_no_colour() -> None:
    made = drawn_posters(FILMS, GENRES).astype(float)
    tone = made.mean(axis=(1, 2))
    old = FILMS["year"] < 1940
    assert (tone[old, 0] > tone[old, 1]).all() and (tone[old, 1] > tone[old, 2]).all()


def test_a_film_without_genres_is_grey() -> None:
    made = drawn_posters(pd.DataFrame({"id": [5], "genres": [[]], "year": [2000]}), GENRES).astype(float)
    assert np.ptp(made.mean(axis=(0, 1, 2))) < 5


def test_a_folder_gives_what_it_holds(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed: pip install 'recsim-env[movieharbor]'")
    with pytest.raises(DataError, match="is no folder"):
        read_posters(tmp_path / "none", FILMS, GENRES)
    with pytest.raises(DataError, match=r"holds no picture, such as 0\.png"):
        read_posters(tmp_path, FILMS, GENRES)
    image.new("RGB", (90, 120), (255, 0, 0)).save(tmp_path / "7.png")
    made = read_posters(tmp_path, FILMS, GENRES)
    assert made[7, 0, 0].tolist() == [255, 0, 0]
    assert np.array_equal(made[8], drawn_posters(FILMS, GENRES)[8])
    (tmp_path / "9.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"9\.png is no picture"):
        read_posters(tmp_path, FILMS, GENRES)
