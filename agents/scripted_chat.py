"""A chat model that follows a script: for tests and for trials without a network; it knows no language.

It reads the JSON that `agents.llm_prompts` writes, and prefers candidates that have many kinds in common with what was
liked, the latest first.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

FADE = 0.8  # what a like counts beside the next one


class ScriptedChat(BaseChatModel):
    """Ranks by kinds in common."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> ChatResult:
        told = json.loads(str(messages[-1].text))
        if "liked" not in told:
            raise ValueError("the scripted model only ranks, for the agent llm; it answers no questions")
        ids = json.dumps(ranked(told["liked"], told["candidates"]))
        text = f"They liked {len(told['liked'])}. ANSWER: {ids}" if "ANSWER:" in str(messages[0].text) else ids
        words_in = sum(len(str(message.text).split()) for message in messages)
        usage = {"input_tokens": words_in, "output_tokens": len(text.split())}
        message = AIMessage(text, usage_metadata={**usage, "total_tokens": sum(usage.values())})
        return ChatResult(generations=[ChatGeneration(message=message)])


def ranked(liked: list[dict[str, Any]], candidates: list[dict[str, Any]]) -> list[int]:
    """The candidates' ids, the best first."""
    worth: dict[str, float] = {}
    for item in liked:
        for kind in worth:
            worth[kind] *= FADE
        worth |= {kind: worth.get(kind, 0.0) + 1.0 for kind in item["kinds"]}
    order = sorted(candidates, key=lambda item: -sum(worth.get(kind, 0.0) for kind in item["kinds"]))
    return [int(item["id"]) for item in order]
