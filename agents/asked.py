"""Asking a chat model: its answers kept on disk, and what they cost."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from recsim_env.chat_models import find_chat_model
from recsim_env.errors import AgentError, InvalidParameter


class Ranking(BaseModel):
    """What a model is bound to answer."""

    ids: list[int]


def structured(model: Any, name: str) -> Any:
    """The model, bound to answer with a `Ranking`.

    Raises:
        InvalidParameter: it cannot be bound.
    """
    try:
        return model.with_structured_output(Ranking, include_raw=True)
    except NotImplementedError:
        raise InvalidParameter(f"the chat model {name!r} has no structured output; leave structured=false") from None


@dataclass
class Ledger:
    """What was asked and what came of it.

    Attributes:
        calls: that the model answered; those found on disk are not among them.
        from_disk: answers that were found there.
        tokens_in, tokens_out: of the calls, as the model counts them.
        cost: of the calls, in the currency of the prices.
        unread: answers in which no list of ids was found.
        not_on_offer: ids in answers that were not on offer, or came twice.
    """

    calls: int = 0
    from_disk: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    unread: int = 0
    not_on_offer: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{value:,.4g} {name.replace('_', ' ')}" for name, value in asdict(self).items())


class Answers:
    """Answers on disk, by model and question: a question is paid for once."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as disk, disk:
                disk.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(str(self.path), timeout=60)

    @staticmethod
    def key(*parts: str) -> str:
        """Of a model and a question."""
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def find(self, keys: Sequence[str]) -> dict[str, str]:
        """Those that are kept."""
        if self.path is None:
            return {}
        with closing(self._open()) as disk:
            found = (disk.execute("SELECT key, answer FROM answers WHERE key = ?", (key,)).fetchone() for key in keys)
            return {row[0]: row[1] for row in found if row}

    def keep(self, answers: dict[str, str]) -> None:
        """Add some."""
        if self.path is not None:
            with closing(self._open()) as disk, disk:
                disk.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", list(answers.items()))


class Asked:
    """A chat model that answers texts, from disk where it did before, and keeps the ledger.

    Args:
        name, timeout, retries: see `find_chat_model`.
        folder: where answers are kept; empty: nowhere.
        prices: of a million tokens in, and out.
        at_once: calls side by side.
        in_structure: whether it is bound to answer with a list of ids, by its provider's own means.
    """

    def __init__(
        self, name: str, timeout: float, retries: int, folder: str, prices: tuple[float, float], at_once: int,
        in_structure: bool = False,
    ) -> None:  # fmt: skip
        self.name, model = name, find_chat_model(name, timeout, retries)
        self.runnable = structured(model, name) if in_structure else model
        self.answers = Answers(Path(folder) / "answers.sqlite" if folder else None)
        self.prices, self.at_once, self.ledger = prices, at_once, Ledger()

    def __call__(self, questions: Sequence[tuple[str, str]]) -> list[str]:
        """The answers to questions, each a system's text and a user's.

        Raises:
            AgentError: a call failed, after all retries.
        """
        keys = [Answers.key(self.name, *question) for question in questions]
        known = self.answers.find(keys)
        self.ledger.from_disk += sum(key in known for key in keys)
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in known}
        made = {key: self._said(message) for key, message in zip(new, self._messages(list(new.values())), strict=True)}
        self.answers.keep(made)
        known.update(made)
        return [known[key] for key in keys]

    def _messages(self, questions: Sequence[tuple[str, str]]) -> list[Any]:
        asked = [[("system", system), ("human", data)] for system, data in questions]
        found = self.runnable.batch(asked, config={"max_concurrency": self.at_once}, return_exceptions=True)
        failed = [message for message in found if isinstance(message, Exception)]
        if failed:
            first = (str(failed[0]).strip() or type(failed[0]).__name__).splitlines()[0]
            raise AgentError(f"{self.name}: {len(failed)} of {len(found)} calls failed: {first}")
        return list(found)

    def _said(self, message: Any) -> str:
        """The text of a message, after it is entered in the ledger."""
        parsed, message = (message["parsed"], message["raw"]) if isinstance(message, dict) else (None, message)
        usage, ledger = getattr(message, "usage_metadata", None) or {}, self.ledger
        into, out = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
        ledger.calls += 1
        ledger.tokens_in += into
        ledger.tokens_out += out
        ledger.cost += (into * self.prices[0] + out * self.prices[1]) / 1e6
        return json.dumps(parsed.ids) if parsed is not None else str(message.text)
