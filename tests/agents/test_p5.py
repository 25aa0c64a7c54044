"""P5: what it is asked, that it names only real items, that it learns, and what each tuning trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.p5 import P5, P5Config, kinds_of_questions
from agents.p5_model import Tuning
from agents.p5_prompts import (
    catalogue_pairs,
    choice_question,
    explanation,
    liked_items,
    next_question,
    rating_pair,
    why_question,
)
from recsim_env.agent import NoLog
from recsim_env.errors import AgentError, InvalidParameter
from tests.agents.sessions import ITEMS, SEEN, accuracy, popular_accuracy, sessions, spec
from tests.content import content_of

transformers = pytest.importorskip("transformers", reason="transformers is not installed: recsim-env[llm]")
pytest.importorskip("peft", reason="peft is not installed: pip install 'recsim-env[llm]'")
SMALL = {"history": SEEN, "width": 32, "layers": 1, "batch": 64, "pretrain_epochs": 0}
CONTENT = content_of(np.eye(ITEMS), tuple("ABCDE"), tuple(f"Film {k}" for k in range(ITEMS)))


def fitted(people: int, **settings: object) -> P5:
    known = replace(spec(people), content=lambda: CONTENT)
    agent = P5(P5Config(**{**SMALL, **settings}), known)  # type: ignore[arg-type]
    agent.fit(sessions(people), NoLog())
    return agent


def copied(agent: P5) -> dict[str, np.ndarray]:
    """Its arrays as they are now."""
    return {name: value.copy() for name, value in agent.arrays().items()}


def test_questions_and_answers_are_words() -> None:
    assert next_question(7, [1, 4]) == "user_7 watched item_1 item_4 . next ?"
    assert choice_question(-1, [], [3, 2]) == "user_new watched  . choose from item_3 item_2 ?"
    assert rating_pair(0, [1], 2, 1.0, classifies=True) == ("user_0 watched item_1 . would they like item_2 ?", "yes")
    assert rating_pair(0, [1], 2, 3.7, classifies=False)[1] == "3.5"
    assert why_question(0, [1], 2) == "user_0 watched item_1 . why item_2 ?"
    assert explanation([1, 2], 2, CONTENT) == "because item_2 is c like item_2"
    assert explanation([1], 2, CONTENT) == "because item_2 is c"
    pairs = [pair for seed in range(5) for pair in catalogue_pairs(CONTENT, np.random.default_rng(seed))]
    assert ("what is item_2 ?", "film 2 c") in pairs and ("which is film 2 c ?", "item_2") in pairs


def test_liked_items_come_in_order_of_time() -> None:
    items = np.array([[[-1, -1], [3, 4], [5, 6]]])
    labels = np.array([[[1, 1], [1, 0], [1, 1]]])
    assert liked_items(items, labels, 10) == [[3, 5, 6]] and liked_items(items, labels, 2) == [[5, 6]]


def test_only_questions_that_a_log_can_answer_are_asked() -> None:
    log = sessions(10)
    assert kinds_of_questions(log, True) == ("next", "choice", "why")  # all labels are 1
    mixed = replace(log, labels=np.where(log.step[:, None] % 2 == 0, 1.0, 0.0))
    assert kinds_of_questions(mixed, False) == ("next", "choice", "rating")
    unlisted = replace(log, offered=log.offered[:, :0], offered_features=log.offered_features[:, :0])
    assert kinds_of_questions(unlisted, False) == ("next",)


def test_it_learns_what_comes_next() -> None:
    """Most items follow from the sum of the last two, which is hard for a small T5; what is popular says nothing."""
    agent = fitted(400, pretrain_epochs=12, epochs=6, learning_rate=5e-3)
    assert accuracy(agent) >= popular_accuracy() + 0.1  # type: ignore[arg-type]


def test_only_items_are_named_and_in_the_order_of_their_chance() -> None:
    agent = fitted(60, epochs=1)
    asked = [next_question(-1, [1, 2]), next_question(3, [])]
    named = agent.generated(asked, 3)
    assert named.shape == (2, 3) and ((named >= 0) & (named < ITEMS)).all()
    assert all(len(set(row)) == 3 for row in named.tolist())
    best = agent.item_logits(asked).argsort(dim=1, descending=True)[:, :3].detach().numpy()
    assert np.array_equal(named, best)
    assert len(agent.answers([why_question(-1, [1], 2)])) == 1


@pytest.mark.parametrize("tuning", list(Tuning))
def test_each_tuning_changes_what_it_says(tuning: Tuning) -> None:
    agent = P5(P5Config(**{**SMALL, "tuning": tuning, "epochs": 2}), spec(40))  # type: ignore[arg-type]
    before = copied(agent)
    agent.fit(sessions(40), NoLog())
    changed = {name for name, value in agent.arrays().items() if not np.array_equal(value, before[name])}
    weights = {name for name in changed if name.startswith("model.")}
    own = {f"model.{name}" for name in agent.network.added}
    assert weights
    if tuning == Tuning.FULL:
        assert agent.network.trained == sum(v.numel() for v in agent.network.parameters())
    else:
        assert weights <= own and agent.network.trained < 0.2 * sum(v.numel() for v in agent.network.parameters())
    assert agent.network.memory == 4 * (sum(v.numel() for v in agent.network.parameters()) + 3 * agent.network.trained)


def test_every_tuning_starts_from_the_same_pretrained_weights() -> None:
    starts = []
    for tuning in (Tuning.FULL, Tuning.LORA):
        agent = P5(P5Config(**{**SMALL, "tuning": tuning, "pretrain_epochs": 1, "epochs": 1, "learning_rate": 1e-3,
                               "dropout": 0.0}), spec(40))  # type: ignore[arg-type]  # fmt: skip
        seen: list[dict[str, np.ndarray]] = []
        pretrain = agent.before_fit
        agent.before_fit = lambda fit, first, p=pretrain, s=seen, a=agent: (p(fit, first), s.append(copied(a)))  # type: ignore[assignment, misc]
        agent.fit(sessions(40), NoLog())
        starts.append(seen[0])
    full = starts[0]["model.shared.weight"]
    [lora] = [value for name, value in starts[1].items() if name.endswith("model.shared.weight")]
    assert np.array_equal(full, lora)


def test_a_local_t5_can_be_the_start(tmp_path: Path) -> None:
    from agents.p5_model import own_tokenizer, small_t5

    tokenizer = own_tokenizer(["watched", "next"])
    tokenizer.save_pretrained(tmp_path)
    small_t5(len(tokenizer), 16, 1, 2, 0.0).save_pretrained(tmp_path)
    agent = P5(P5Config(**{**SMALL, "weights": str(tmp_path), "dropout": 0.25}), spec(10))  # type: ignore[arg-type]
    assert agent.network.model.config.d_model == 16 and agent.network.model.config.vocab_size > ITEMS + 10
    assert len(set(agent.item_tokens.tolist())) == ITEMS and agent.network.model.config.dropout_rate == 0.25
    with pytest.raises(InvalidParameter, match="must be a folder with a T5"):
        P5(P5Config(weights=str(tmp_path / "none")), spec(10))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidParameter, match="holds no T5"):
        P5(P5Config(weights=str(tmp_path / "empty")), spec(10))
    with pytest.raises(AgentError, match=r"heads must divide width \(30\), not 4"):
        P5(P5Config(width=30), spec(10))
