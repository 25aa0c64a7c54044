"""Vectors of texts that were embedded before, by the text's content: nothing is embedded twice."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from movieharbor.embedding import Embedder
from recsim_env.errors import DataError
from recsim_env.files import whole

AT_ONCE = 256  # texts that are embedded, and kept, in one go


def key_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


class VectorCache:
    """A folder of .npz files with `keys` (n,) and `vectors` (n, width); what is in it survives a stopped build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[str, np.ndarray]:
        """All vectors by their keys.

        Raises:
            DataError: a file is damaged.
        """
        found: dict[str, np.ndarray] = {}
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as kept:
                    found.update(zip(kept["keys"].tolist(), kept["vectors"], strict=True))
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise DataError(f"{path} is damaged ({error}); remove it, its texts are embedded anew") from None
        return found

    def add(self, keys: Sequence[str], vectors: np.ndarray) -> None:
        """Keep vectors in a file of their own, named by its first key."""
        with whole(self.folder / f"{keys[0][:24]}-{len(keys)}.npz") as part, part.open("wb") as file:
            np.savez(file, keys=np.array(keys), vectors=vectors)


def embedded(
    texts: Sequence[str], embedder: Embedder, folder: Path, tell: Callable[[int, int], None]
) -> tuple[np.ndarray, int]:
    """(n, width) float32 vectors of texts, and how many were made anew.

    Args:
        folder: of caches, one an embedder.
        tell: takes how many are ready, and of how many.

    Raises:
        DataError: a cache is damaged, or the embedder gives vectors of another number or kind.
    """
    cache = VectorCache(folder / "".join(sign if sign.isalnum() else "-" for sign in embedder.name))
    known, keys = cache.read(), [key_of(text) for text in texts]
    missing = list({key: text for key, text in zip(keys, texts, strict=True) if key not in known}.items())
    for first in range(0, len(missing), AT_ONCE):
        tell(len(texts) - len(missing) + first, len(texts))
        part = missing[first : first + AT_ONCE]
        vectors = embedder.embed([text for _, text in part])
        if vectors.ndim != 2 or len(vectors) != len(part) or not np.isfinite(vectors).all():
            raise DataError(f"{embedder.name} gave no finite vector for each of {len(part)} texts, but {vectors.shape}")
        cache.add([key for key, _ in part], vectors)
        known.update(zip((key for key, _ in part), vectors, strict=True))
    tell(len(texts), len(texts))
    return np.stack([known[key] for key in keys]).astype(np.float32), len(missing)
