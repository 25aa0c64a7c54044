"""A chat model as the recommender: retrieval first, then the model ranks the best few of what is on offer.

Candidates are ordered by the cosine of their text's vector with the mean of those liked, the latest counting most; the
model gets the first `top` of them with what the user liked, and its answer is the slate. Ids in it that are not on
offer are counted and left out, places that stay empty are filled in the retrieval's order. It learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.asked import Asked, Ledger
from agents.items import ItemIndex
from agents.llm_prompts import Style, data_text, read_answer, repaired, system_text
from agents.p5_prompts import liked_items
from recsim_env.agent import Agent, AgentConfig, WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param

FADE = 0.8  # what a liked item counts beside the next one


@dataclass(frozen=True)
class LLMConfig(AgentConfig):
    """Settings of `llm`."""

    model: str = param("", "a chat model: openai:gpt-4o-mini and the like, or module:Class of one's own")
    style: Style = param(Style.PLAIN, "how it is asked: plain, with an example, or to reason step by step")
    top: int = param(10, "candidates that it is shown, the first of the retrieval", low=1)
    liked: int = param(10, "liked items that it is told of at most", low=1)
    history: int = param(20, "steps of the session that are seen", low=1)
    timeout: float = param(60.0, "seconds that a call may take; of providers' models, not of one's own class", low=0)
    retries: int = param(2, "how often a failed call is tried again; of providers' models, too", low=0)
    answers: str = param("", "folder that keeps answers, so that none is paid for twice; empty: nowhere")
    price_in: float = param(0.0, "of a million tokens of questions", low=0)
    price_out: float = param(0.0, "of a million tokens of answers", low=0)
    at_once: int = param(8, "calls side by side", low=1)
    structured: bool = param(False, "whether the model is bound to answer with a list, by its provider's own means")


class LLM(Agent):
    """Shows what a chat model chooses.

    Attributes:
        ledger: calls, tokens, cost, and answers that had to be repaired.
    """

    Config = LLMConfig
    needs = "content"

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        content, self.index = spec.content(), ItemIndex(spec)
        if content is None or not self.index.steps:
            raise AgentError("llm reads the items' texts and the session's history; movieharbor is a world with both")
        if not config.model:
            raise AgentError("llm needs a model: llm.model=openai:gpt-4o-mini, or module:Class of one's own")
        if config.top < spec.slate_size:
            raise AgentError(f"llm.top must reach for a slate ({spec.slate_size}), not {config.top}")
        self.content = content
        prices = (config.price_in, config.price_out)
        self.asked = Asked(
            config.model, config.timeout, config.retries, config.answers, prices, config.at_once, config.structured
        )

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"history": config.history}

    @property
    def ledger(self) -> Ledger:
        """What was asked so far, and what it cost."""
        return self.asked.ledger

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        past, candidates = self.index.of_history(observation), self.index.of_candidates(observation)
        liked = liked_items(past.items, past.labels, self.config.liked)
        positions = self.retrieved(liked, candidates)
        offered = np.take_along_axis(candidates, positions, axis=1).tolist()
        places, style = self.spec.slate_size, self.config.style
        system = system_text(style, places)
        told = [(system, data_text(mine, shown, self.content)) for mine, shown in zip(liked, offered, strict=True)]
        slates = np.empty((len(told), places), np.int64)
        for row, answer in enumerate(self.asked(told)):
            ids = read_answer(answer, style)
            chosen, wrong = repaired(ids, offered[row], places)
            self.ledger.unread += ids is None
            self.ledger.not_on_offer += wrong
            slates[row] = [positions[row, offered[row].index(item)] for item in chosen]
        return slates

    def retrieved(self, liked: list[list[int]], candidates: np.ndarray) -> np.ndarray:
        """(n, top) positions of candidates (n, C), the nearest to what was liked first; as offered without likes."""
        vectors = self.content.vectors
        tastes = np.zeros((len(liked), vectors.shape[1]), np.float32)
        for row, items in enumerate(liked):
            if items:
                tastes[row] = FADE ** np.arange(len(items))[::-1] @ vectors[items]
        likeness = np.einsum("nw,ncw->nc", tastes, vectors[candidates])
        return np.argsort(-likeness, axis=1, kind="stable")[:, : self.config.top]
