"""An embedder for tests, as LangChain has them: a text's words, counted in 64 places by their letters."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

WIDTH = 64


class Words:
    """Deterministic, and texts with common words lie near each other."""

    asked: list[str] = []  # every text that was ever embedded

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        type(self).asked.extend(texts)
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        counts = [0.01] * WIDTH
        for word in text.lower().split():
            counts[zlib.crc32(word.strip(".,:").encode()) % WIDTH] += 1.0
        return counts


class Failing(Words):
    """Breaks off after the first part."""

    parts = 0

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        type(self).parts += 1
        if self.parts > 1:
            raise RuntimeError("the connection was lost")
        return super().embed_documents(texts)


class Crooked(Words):
    """Gives too few vectors."""

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        return super().embed_documents(texts)[1:]
