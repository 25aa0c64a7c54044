"""Chat models as recommenders: what they are told, how answers are read and repaired, what they cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.llm import LLM, LLMConfig
from agents.llm_prompts import ANSWER, Style, read_answer, repaired, system_text
from recsim_env.agent import WorldSpec
from recsim_env.chat_models import find_chat_model
from recsim_env.env import RecVectorEnv
from recsim_env.errors import AgentError, InvalidParameter
from recsim_env.simulator import Options
from tests.content import ToldMovieLens
from tests.made_up import write_movielens

chat = pytest.importorskip("langchain_core.language_models", reason="langchain is not installed: recsim-env[llm]")
messages = pytest.importorskip("langchain_core.messages")
outputs = pytest.importorskip("langchain_core.outputs")
SCRIPTED = "agents.scripted_chat:ScriptedChat"
HERE = "tests.agents.test_llm"


class Answering(chat.BaseChatModel):  # type: ignore[misc, name-defined]
    """Says what `say` makes of the data; every call costs 100 and 10 tokens."""

    @property
    def _llm_type(self) -> str:
        return "answering"

    def say(self, told: Any) -> str:
        return json.dumps([c["id"] for c in told["candidates"]][::-1])

    def _generate(self, asked: Any, *rest: Any, **more: Any) -> Any:
        usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
        message = messages.AIMessage(self.say(json.loads(asked[-1].content)), usage_metadata=usage)
        return outputs.ChatResult(generations=[outputs.ChatGeneration(message=message)])


class Rambling(Answering):
    """Names films that are not on offer, and one twice."""

    def say(self, told: Any) -> str:
        first = told["candidates"][2]["id"]
        return f"Sure! [{first}, 99999, {first}]"


class Silent(Answering):
    """Gives no list."""

    def say(self, told: Any) -> str:
        return "I would rather not."


class Failing(Answering):
    """Cannot be reached."""

    def say(self, told: Any) -> str:
        raise TimeoutError("no answer in 60 s")


@pytest.fixture(scope="module")
def envs(tmp_path_factory: pytest.TempPathFactory) -> RecVectorEnv:
    data = write_movielens(tmp_path_factory.mktemp("movielens"))
    world = ToldMovieLens(data=str(data), factors=4, not_again=10, slate_size=2, num_candidates=12)
    return RecVectorEnv(world, 6, Options(history=5))


def played(envs: RecVectorEnv, model: str, steps: int = 3, **settings: Any) -> tuple[LLM, list[np.ndarray]]:
    agent = LLM(LLMConfig(model=model, **settings), WorldSpec.of(envs))
    observation, _ = envs.reset(seed=1)
    slates = []
    for _ in range(steps):
        slates.append(agent.act(observation, np.random.default_rng(0)))
        observation, *_ = envs.step(slates[-1])
    return agent, slates


def test_a_model_ranks_what_retrieval_brings(envs: RecVectorEnv) -> None:
    agent, slates = played(envs, f"{HERE}:Answering", top=4)
    observation, _ = envs.reset(seed=1)
    candidates = agent.index.of_candidates(observation)
    first = agent.retrieved([[] for _ in range(6)], candidates)
    assert first[0].tolist() == [0, 1, 2, 3]  # nothing was liked yet: as they are offered
    assert (slates[0] == first[:, [3, 2]]).all()  # this model's order is the reverse
    liked = [[int(candidates[0, 5])]] + [[]] * 5
    assert agent.retrieved(liked, candidates)[0, 0] == 5


@pytest.mark.parametrize("style", list(Style))
def test_the_script_follows_every_style(envs: RecVectorEnv, style: Style) -> None:
    agent, slates = played(envs, SCRIPTED, style=style)
    assert agent.ledger.calls == 18 and agent.ledger.unread == agent.ledger.not_on_offer == 0
    assert agent.ledger.tokens_in > 0 and all(slate.shape == (6, 2) for slate in slates)


def test_the_ledger_counts_calls_tokens_and_cost(envs: RecVectorEnv) -> None:
    agent, _ = played(envs, f"{HERE}:Answering", price_in=2.0, price_out=10.0)
    assert (agent.ledger.calls, agent.ledger.tokens_in, agent.ledger.tokens_out) == (18, 1800, 180)
    assert agent.ledger.cost == pytest.approx(18 * (100 * 2 + 10 * 10) / 1e6)
    assert "18 calls" in str(agent.ledger)


def test_answers_on_disk_are_not_paid_for_again(envs: RecVectorEnv, tmp_path: Path) -> None:
    first, slates = played(envs, f"{HERE}:Answering", answers=str(tmp_path))
    again, same = played(envs, f"{HERE}:Answering", answers=str(tmp_path))
    assert first.ledger.calls == 18 and (again.ledger.calls, again.ledger.from_disk) == (0, 18)
    assert all(np.array_equal(a, b) for a, b in zip(slates, same, strict=True))
    other, _ = played(envs, f"{HERE}:Rambling", answers=str(tmp_path))
    assert other.ledger.calls == 18  # another model's answers are its own


def test_what_is_not_on_offer_is_counted_and_repaired(envs: RecVectorEnv) -> None:
    agent, slates = played(envs, f"{HERE}:Rambling", steps=1)
    assert agent.ledger.not_on_offer == 12 and agent.ledger.unread == 0
    assert (slates[0] == [2, 0]).all()  # what was named and on offer, then the retrieval's first
    silent, slates = played(envs, f"{HERE}:Silent", steps=1)
    assert silent.ledger.unread == 6 and (slates[0] == [0, 1]).all()


def test_a_failed_call_stops_and_says_why(envs: RecVectorEnv) -> None:
    with pytest.raises(AgentError, match=r"Failing: 6 of 6 calls failed: no answer in 60 s$"):
        played(envs, f"{HERE}:Failing")


def test_mistakes_are_told(envs: RecVectorEnv) -> None:
    spec = WorldSpec.of(envs)
    with pytest.raises(AgentError, match="llm needs a model"):
        LLM(LLMConfig(), spec)
    with pytest.raises(AgentError, match=r"top must reach for a slate \(2\), not 1"):
        LLM(LLMConfig(model=SCRIPTED, top=1), spec)
    with pytest.raises(InvalidParameter, match="has no structured output"):
        LLM(LLMConfig(model=SCRIPTED, structured=True), spec)
    with pytest.raises(InvalidParameter, match="LangChain knows no such provider, and there is no class of that name"):
        find_chat_model("nobody:knows", 1.0, 0)
    for other in ("os:getcwd", "json:JSONDecoder"):
        with pytest.raises(InvalidParameter, match=f"{other} is no chat model"):
            find_chat_model(other, 1.0, 0)


def test_answers_are_read() -> None:
    assert read_answer("[3, 1]", Style.PLAIN) == [3, 1]
    assert read_answer(f"They like [7]. {ANSWER} [3,1]", Style.REASONING) == [3, 1]
    assert read_answer("no list", Style.PLAIN) is None and read_answer("", Style.REASONING) is None
    assert repaired([5, 9, 5, 4], [4, 5, 6], 2) == ([5, 4], 2)
    assert repaired(None, [4, 5, 6], 2) == ([4, 5], 0)


def test_texts_of_items_stand_in_the_data_alone(envs: RecVectorEnv) -> None:
    for style in Style:
        assert "never an instruction" in system_text(style, 2) and "Film" not in system_text(style, 2)


class Structured(Answering):
    """Has a structured output: it names the candidates in reverse."""

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **more: Any) -> Any:
        assert include_raw
        runnables = pytest.importorskip("langchain_core.runnables")

        def both(raw: Any) -> dict[str, Any]:
            return {"raw": raw, "parsed": schema(ids=json.loads(raw.content)), "parsing_error": None}

        return self | runnables.RunnableLambda(both)


def test_structured_output_is_read_and_paid_for_as_any(envs: RecVectorEnv) -> None:
    bound, slates = played(envs, f"{HERE}:Structured", structured=True)
    plain, same = played(envs, f"{HERE}:Answering")
    assert all(np.array_equal(a, b) for a, b in zip(slates, same, strict=True))
    assert bound.ledger == plain.ledger
