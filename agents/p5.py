"""P5, recommendation as language (Geng et al., 2022): a T5 that answers questions about users and items.

    loss = - sum_j log P(y_j | y_<j, x)

of answers y to questions x: what comes next, which of those on offer, how an item is liked, and why. First it is
pretrained with questions about the catalogue's texts and about what comes next; then all of it, or what `tuning` adds,
is fitted to all questions about the log. Candidates are ranked by the chance of being the answer to «what comes next».
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.fitting import Batch, Fit
from agents.impressions import Context, Impressions
from agents.p5_model import IGNORED, TunedT5, Tuning, local_t5, own_tokenizer, small_t5
from agents.p5_prompts import (
    LISTED,
    WORDING,
    Pair,
    catalogue_pairs,
    choice_question,
    explanation,
    item_word,
    liked_items,
    next_question,
    rating_pair,
    user_word,
    why_question,
)
from agents.supervised import NeuralConfig, NeuralRecommender
from agents.torch_tools import own_randomness
from agents.words import commonest, words_of
from recsim_env.agent import Log, WorldSpec
from recsim_env.errors import AgentError
from recsim_env.parameters import param

SHARES = {"next": 0.5, "choice": 0.2, "rating": 0.15, "why": 0.15}  # of the updates, by question
AT_ONCE = 512  # questions that are answered at once


@dataclass(frozen=True)
class P5Config(NeuralConfig):
    """Settings of `p5`."""

    history: int = param(20, "steps of the session that are seen", low=1)
    liked: int = param(15, "liked items that a question names at most", low=1)
    tuning: Tuning = param(Tuning.FULL, "what changes after the pretraining")
    weights: str = param("", "folder with a T5 and its tokenizer to start from; empty: a small one, from nothing")
    width: int = param(64, "of the small one", low=4)
    layers: int = param(2, "of its encoder, and of its decoder", low=1)
    heads: int = param(4, "of its attention; a divisor of width", low=1)
    words: int = param(4000, "words of texts that the small one knows at most", low=1)
    pretrain_epochs: int = param(2, "passes over the catalogue's texts and the log before the tuning", low=0)
    unknown_id: float = param(0.1, "how often the user is not named in training", low=0, high=1)
    learning_rate: float = param(2e-3, "of AdamW", low=0)
    batch: int = param(64, "questions an update", low=1)
    epochs: int = param(4, "passes over the log at most", low=1)
    patience: int = param(2, "epochs without a better ranking of held-out steps before it stops", low=1)


class P5(NeuralRecommender):
    """Ranks candidates by how likely a language model names them next.

    Attributes:
        tokenizer: texts to numbers.
        item_tokens: (items,) the numbers of the items' words.
        kinds: of questions that the log can answer.
    """

    Config = P5Config
    uses_user_ids = True
    needs = "ids"
    network: TunedT5

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        self.content, self.kinds = spec.content(), tuple(SHARES)
        super().__init__(config, spec)
        tokens = self.tokenizer.convert_tokens_to_ids([item_word(item) for item in range(self.index.size)])
        self.item_tokens = torch.as_tensor(tokens, device=self.device)

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"history": config.history}

    def build(self) -> TunedT5:
        if not self.index.has_ids or not self.index.steps:
            raise AgentError("p5 needs items with ids and a history of the session; this world shows no such thing")
        config = self.config
        if config.width % config.heads:
            raise AgentError(f"p5.heads must divide width ({config.width}), not {config.heads}")
        names = [*map(item_word, range(self.index.size)), *map(user_word, range(-1, self.encoder.num_users))]
        with own_randomness(config.seed):
            if config.weights:
                self.tokenizer, t5 = local_t5(config.weights, names, config.dropout)
            else:
                self.tokenizer = own_tokenizer([*WORDING.split(), *self.known_words(), *names])
                t5 = small_t5(len(self.tokenizer), config.width, config.layers, config.heads, config.dropout)
            return TunedT5(t5, config.tuning)

    def initialise(self) -> None:
        """The T5 drew its weights when it was made."""

    def known_words(self) -> list[str]:
        """Words of kinds, and the commonest of titles and texts."""
        amounts = [f"{half / 2:g}" for half in range(21)]
        if self.content is None:
            return amounts
        kinds = [word for kind in self.content.kinds for word in words_of(kind)]
        texts = [f"{title} {text}" for title, text in zip(self.content.titles, self.content.texts, strict=True)]
        return [*amounts, *kinds, *commonest(texts, self.config.words)]

    # -- fitting ---------------------------------------------------------------------------------------

    def fit(self, impressions: Impressions, log: Log) -> None:
        with own_randomness(self.config.seed + self.played):  # dropout draws from torch's global generator
            super().fit(impressions, log)

    def before_fit(self, fit: Fit, first: bool) -> None:
        """Choose the questions; the first time, pretrain; tell how much is trained."""
        self.kinds = kinds_of_questions(fit.log, self.content is not None)
        if first:
            with self.network.pretraining():
                for _ in range(self.config.pretrain_epochs):
                    fit.tell.scalar("train/pretraining_loss", self.pretrain(fit))
        fit.tell.scalar("train/parameters_trained", self.network.trained)
        fit.tell.scalar("train/memory_bytes", self.network.memory)

    def pretrain(self, fit: Fit) -> float:
        """One pass over the catalogue's texts and what came next in the log; the mean loss."""
        optimiser = torch.optim.AdamW(self.network.parameters(), self.config.learning_rate, weight_decay=0.0)
        pairs: list[Pair] = [] if self.content is None else catalogue_pairs(self.content, fit.rng)
        rows = fit.rng.permutation(np.flatnonzero(~fit.held & (fit.log.labels > 0).any(axis=1)))
        pairs = [pairs[k] for k in fit.rng.permutation(len(pairs))]
        parts: list[Any] = [pairs[k : k + self.config.batch] for k in range(0, len(pairs), self.config.batch)]
        parts += [rows[k : k + self.config.batch] for k in range(0, len(rows), self.config.batch)]
        losses = []
        self.network.train()
        for k in fit.rng.permutation(len(parts)):
            part = parts[k]
            loss = self.pair_loss(part if isinstance(part, list) else self.pairs_of("next", fit.log, part, fit.rng))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.detach())
        self.network.eval()
        return float(torch.stack(losses).mean()) if losses else 0.0

    def loss(self, batch: Batch) -> Tensor:
        """The mean cross entropy of the answers to one kind of question about each step."""
        chances = np.array([SHARES[kind] for kind in self.kinds])
        kind, rows = self.kinds[batch.rng.choice(len(chances), p=chances / chances.sum())], batch.rows
        if kind != "rating":
            rows = rows[(batch.log.labels[rows] > 0).any(axis=1)]
        if not len(rows):
            return sum((value.sum() * 0.0 for value in self.network.parameters()), torch.zeros(()))
        return self.pair_loss(self.pairs_of(kind, batch.log, rows, batch.rng))

    def pairs_of(self, kind: str, log: Impressions, rows: np.ndarray, rng: np.random.Generator) -> list[Pair]:
        """Questions and answers about rows (n,), which have a positive label unless it is asked for the rating."""
        context, labels = log.context(rows, self.index.steps), log.labels[rows]
        known = context.user_ids
        if self.network.training:
            known = np.where(rng.random(len(rows)) < self.config.unknown_id, -1, known)
        places = rng.integers(labels.shape[1], size=len(rows)) if kind == "rating" else labels.argmax(axis=1)
        items, label = log.items[rows, places], labels[np.arange(len(rows)), places]
        pairs = []
        for row, (user, liked) in enumerate(zip(known, self.liked(context), strict=True)):
            item = int(items[row])
            if kind == "next":
                pairs.append((next_question(user, liked), item_word(item)))
            elif kind == "choice":
                offered = [*log.items[rows[row]], *log.offered[rows[row]]]
                mixed = [item, *(int(k) for k in offered if k >= 0 and k != item)]
                pairs.append((choice_question(user, liked, rng.permutation(mixed[:LISTED]).tolist()), item_word(item)))
            elif kind == "rating":
                pairs.append(rating_pair(user, liked, item, float(label[row]), self.classifies))
            elif self.content is not None:
                pairs.append((why_question(user, liked, item), explanation(liked, item, self.content)))
        return pairs

    def pair_loss(self, pairs: Sequence[Pair]) -> Tensor:
        """() of questions and answers."""
        questions, answers = zip(*pairs, strict=True)
        words = self.encoded(answers)
        labels = words["input_ids"].masked_fill(words["attention_mask"] == 0, IGNORED)
        return self.network.loss(self.encoded(questions), labels)

    def encoded(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Words by number (n, L), and which are there."""
        found = self.tokenizer(list(texts), padding=True, return_tensors="pt", return_token_type_ids=False)
        return {name: value.to(self.device) for name, value in found.items()}

    # -- answering ---------------------------------------------------------------------------------------

    def liked(self, context: Context) -> list[list[int]]:
        """The liked items of each user's history."""
        return liked_items(context.history.items, context.history.labels, self.config.liked)

    def values(self, context: Context, items: np.ndarray, features: np.ndarray) -> Tensor:
        asked = [next_question(user, liked) for user, liked in zip(context.user_ids, self.liked(context), strict=True)]
        return self.item_logits(asked).gather(1, torch.as_tensor(items, device=self.device))

    def item_logits(self, questions: Sequence[str]) -> Tensor:
        """(n, items): of each item being the answer's first word."""
        parts = [questions[k : k + AT_ONCE] for k in range(0, len(questions), AT_ONCE)]
        return torch.cat([self.network.first_words(self.encoded(part), self.item_tokens) for part in parts])

    @torch.inference_mode()
    def generated(self, questions: Sequence[str], count: int) -> np.ndarray:
        """(n, count) items, the likeliest first, by beam search in which only items' words can be said."""
        items, end = self.item_tokens.tolist(), [self.tokenizer.eos_token_id]
        made = self.network.model.generate(
            **self.encoded(questions), num_beams=count, num_return_sequences=count, max_new_tokens=2, do_sample=False,
            renormalize_logits=True,  # among the items
            prefix_allowed_tokens_fn=lambda row, said: items if len(said) == 1 else end,
        )  # fmt: skip
        by_token = {token: item for item, token in enumerate(items)}
        return np.array([by_token[int(token)] for token in made[:, 1]]).reshape(len(questions), count)

    @torch.inference_mode()
    def answers(self, questions: Sequence[str], words: int = 20) -> list[str]:
        """Free answers, such as to `why_question`, word by word the likeliest."""
        made = self.network.model.generate(**self.encoded(questions), max_new_tokens=words, do_sample=False)
        found: list[str] = self.tokenizer.batch_decode(made, skip_special_tokens=True)
        return found


def kinds_of_questions(log: Impressions, told: bool) -> tuple[str, ...]:
    """The questions that are worth asking: choices among what was offered, ratings that differ, reasons from texts."""
    worth = {"next": True, "choice": log.offered.shape[1] > 0, "rating": bool(np.ptp(log.labels) > 0), "why": told}
    return tuple(kind for kind in SHARES if worth[kind])
