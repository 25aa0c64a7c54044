"""What texts, pictures and people say of items, as numbers."""

from __future__ import annotations

import zlib

import numpy as np

from recsim_env.content import Content

PEOPLE = 64  # columns that people share by their names' hash (Weinberger et al., 2009)
PATCHES = 4  # along each side of a picture


def side_information(content: Content) -> np.ndarray:
    """(items, F) float32: the text's vector, the mean colours of 4 x 4 patches of the picture, people, and the year."""
    return np.concatenate(
        [content.vectors, patches(content.pictures()), hashed(content.people), ages(content.years)], axis=1
    )


def patches(pictures: np.ndarray) -> np.ndarray:
    """(items, 48) float32 of pictures (items, H, W, 3) uint8: mean colours, from 0 to 1."""
    rows = [part.mean(axis=(1, 2), dtype=np.float32) for strip in np.array_split(pictures, PATCHES, axis=1)
            for part in np.array_split(strip, PATCHES, axis=2)]  # fmt: skip
    return np.concatenate(rows, axis=1) / np.float32(255.0)


def hashed(people: tuple[tuple[str, ...], ...]) -> np.ndarray:
    """(items, 64) float32: how many of the people fall into each column."""
    found = np.zeros((len(people), PEOPLE), np.float32)
    for row, names in enumerate(people):
        for name in names:
            found[row, zlib.crc32(name.strip().lower().encode()) % PEOPLE] += 1.0
    return found


def ages(years: np.ndarray) -> np.ndarray:
    """(items, 2) float32: centuries since 1900, and whether the year is known."""
    known = years > 0
    return np.column_stack([np.where(known, (years - 1900) / 100, 0.0), known]).astype(np.float32)
