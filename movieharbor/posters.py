"""Posters: of a folder of pictures by film id, and drawn from genre and era where there is none.

A drawn poster has the shape and the colours of the film's first genre, the second genre's colours in its band, and the
look of its time: sepia before 1940, pale before 1965, a warm frame before 1990. Shades, places, sizes and grain differ
from film to film, so that a style has to be learnt.
"""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recsim_env.errors import DataError, RecSimError

SIDE = 32  # pixels
ENDINGS = (".png", ".jpg", ".jpeg")
TURN = 0.27  # of the colour wheel, from genre to genre
GRAIN = 20.0  # standard deviation of the noise, of 255
SEPIA = np.array([[0.39, 0.35, 0.27], [0.77, 0.69, 0.53], [0.19, 0.17, 0.13]])
Y, X = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE

# (place x, place y, size, phase) of a film, each from 0 to 1, to how much ink (SIDE, SIDE), from 0 to 1
SHAPES: tuple[Callable[[float, float, float, float], np.ndarray], ...] = (
    lambda x, y, size, phase: np.hypot(X - x, Y - y) < size,  # a disc
    lambda x, y, size, phase: np.abs(np.hypot(X - x, Y - y) - size) < 0.07,  # a ring
    lambda x, y, size, phase: (np.abs(X - x) < size) & (np.abs(Y - y) < size),  # a square
    lambda x, y, size, phase: (np.abs(X - x) < size) | (np.abs(Y - y) < size / 3),  # a cross
    lambda x, y, size, phase: np.abs(X - x) + np.abs(Y - y) < 1.3 * size,  # a diamond
    lambda x, y, size, phase: (Y - y + size > 0) & (np.abs(X - x) < (Y - y + size) / 2) & (y + size > Y),  # a triangle
    lambda x, y, size, phase: np.sin(6 * np.pi * (X + phase)) > 0,  # columns
    lambda x, y, size, phase: np.sin(6 * np.pi * (Y + phase)) > 0,  # rows
    lambda x, y, size, phase: np.sin(5 * np.pi * (X + Y + phase)) > 0,  # diagonals
    lambda x, y, size, phase: np.sin(5 * np.pi * (X + phase)) * np.sin(5 * np.pi * (Y + phase)) > 0,  # a chessboard
    lambda x, y, size, phase: np.sin(6 * np.arctan2(Y - y, X - x) + 6 * phase) > 0,  # rays
    lambda x, y, size, phase: np.sin(14 * np.pi * np.hypot(X - x, Y - y)) > 0,  # rings
    lambda x, y, size, phase: y + 0.15 * np.sin(4 * np.pi * (X + phase)) < Y,  # waves
)


def drawn_posters(films: pd.DataFrame, genres: Sequence[str]) -> np.ndarray:
    """(films, 32, 32, 3) uint8; films have id, genres and year, and of a film it is always the same."""
    place = {genre: k for k, genre in enumerate(genres)}
    rows = zip(films["id"], films["genres"], films["year"], strict=True)
    made = [poster(int(film), [place[name] for name in names], int(year)) for film, names, year in rows]
    return np.stack(made)


def poster(film: int, genres: Sequence[int], year: int) -> np.ndarray:
    """(32, 32, 3) uint8 of a film with an id, of genres by number, the main one first, and a year; grey without any."""
    rng = np.random.default_rng(zlib.crc32(str(film).encode()))
    if not genres:
        return (255 * np.clip(0.5 + rng.normal(0.0, GRAIN / 255, (SIDE, SIDE, 3)), 0.0, 1.0)).astype(np.uint8)
    main, other = genres[0], genres[min(1, len(genres) - 1)]
    shape = SHAPES[main % len(SHAPES)]
    ink = shape(*rng.uniform((0.35, 0.35, 0.18, 0.0), (0.65, 0.65, 0.32, 1.0)))[..., None]
    paint = np.where(ink, shade(main, 0.85, rng), shade(main + 0.5, 0.35, rng))
    paint[int(0.84 * SIDE) :] = shade(other, 0.6, rng)
    look = aged(paint, year) + rng.normal(0.0, GRAIN / 255, paint.shape)
    return (255 * np.clip(look, 0.0, 1.0)).astype(np.uint8)


def shade(genre: float, value: float, rng: np.random.Generator) -> np.ndarray:
    """(3,) a genre's colour, a little off; genres of one shape, and neighbours, lie far apart on the wheel."""
    hue = (TURN * genre + rng.normal(0.0, 0.02)) % 1.0
    return np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.5, 0.9), value * rng.uniform(0.85, 1.15)))


def aged(paint: np.ndarray, year: int) -> np.ndarray:
    """The look of a time."""
    if 0 < year < 1940:
        return paint @ SEPIA
    if 0 < year < 1965:
        return 0.6 * paint + 0.3
    if 0 < year < 1990:
        framed = paint.copy()
        framed[[0, 1, -2, -1]], framed[:, [0, 1, -2, -1]] = (0.9, 0.8, 0.6), (0.9, 0.8, 0.6)
        return framed
    return paint


def read_posters(folder: Path, films: pd.DataFrame, genres: Sequence[str]) -> np.ndarray:
    """(films, 32, 32, 3) uint8 of `FOLDER/ID.png` or .jpg, drawn ones where it holds none.

    Raises:
        DataError: the folder holds no picture of any film, or one that cannot be read.
    """
    check_posters(folder)
    known = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS}
    found = {row: known[str(film)] for row, film in enumerate(films["id"]) if str(film) in known}
    if not found:
        raise DataError(
            f"posters: of {len(films):,} films {folder} holds no picture, such as {films['id'].iloc[0]}.png"
        )
    made = drawn_posters(films, genres)
    for row, path in found.items():
        made[row] = read_picture(path)
    return made


def check_posters(folder: Path) -> None:
    """Raises `DataError` where there is no such folder."""
    if not folder.is_dir():
        raise DataError(f"posters: {str(folder)!r} is no folder; give one with a picture by film id, such as 862.png")


def read_picture(path: Path) -> np.ndarray:
    """(32, 32, 3) uint8 of a file."""
    try:
        from PIL import Image
    except ImportError:
        raise RecSimError("pictures need pillow: pip install 'recsim-env[movieharbor]'") from None
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.uint8)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"posters: {path} is no picture ({error}); remove or replace it") from None
