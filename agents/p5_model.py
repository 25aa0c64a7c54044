"""A T5 (Raffel et al., 2020) and its words: small and from nothing, or from local weights; and how it is tuned.

`full` changes every weight, `lora` adds low-rank changes to the attention (Hu et al., 2022), `prompt` puts vectors that
are learnt before the question (Lester et al., 2021). The weights that they start from are fitted the same way.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import IntEnum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recsim_env.errors import InvalidParameter, RecSimError

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
RANK, VIRTUAL = 8, 8  # of lora's changes; vectors before the question
IGNORED = -100  # a place of an answer that does not count
BYTES = 4  # of a weight


class Tuning(IntEnum):
    """What changes after the pretraining."""

    FULL = 0
    LORA = 1
    PROMPT = 2


def transformers() -> Any:
    """The library.

    Raises:
        RecSimError: it is not installed.
    """
    try:
        import transformers as found
    except ImportError:
        raise RecSimError("p5 needs transformers and peft: pip install 'recsim-env[llm]'") from None
    return found


def own_tokenizer(words: Sequence[str]) -> Any:
    """Numbers a text's words, between spaces; those that are not among `words` count as one."""
    found = transformers()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    numbers = {word: k for k, word in enumerate(dict.fromkeys([PAD, END, UNKNOWN, *words]))}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, numbers[END])])
    return found.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN)


def local_t5(weights: str, words: Sequence[str], dropout: float) -> tuple[Any, Any]:
    """A T5 of a folder and its tokenizer, with words of their own added; nothing is fetched.

    Raises:
        InvalidParameter: the folder holds none.
    """
    found = transformers()
    if not Path(weights).is_dir():
        raise InvalidParameter(f"p5.weights must be a folder with a T5, not {weights!r}")
    try:
        tokenizer = found.AutoTokenizer.from_pretrained(weights, local_files_only=True)
        model = found.T5ForConditionalGeneration.from_pretrained(weights, dropout_rate=dropout, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidParameter(f"p5.weights: {weights!r} holds no T5 ({str(error).splitlines()[0]})") from None
    tokenizer.add_tokens([found.AddedToken(word, single_word=True) for word in words])
    model.resize_token_embeddings(len(tokenizer))
    return tokenizer, model


def small_t5(size: int, width: int, layers: int, heads: int, dropout: float) -> Any:
    """A T5 with `size` words and random weights, from torch's global generator."""
    found = transformers()
    config = found.T5Config(
        vocab_size=size, d_model=width, d_kv=width // heads, d_ff=2 * width, num_layers=layers, num_heads=heads,
        dropout_rate=dropout, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    return found.T5ForConditionalGeneration(config)


class TunedT5(nn.Module):
    """A T5 with what tuning adds to it."""

    def __init__(self, t5: Any, tuning: Tuning) -> None:
        super().__init__()
        self.tuning, self.model = tuning, adapted(t5, tuning)
        own = {id(value) for value in t5.parameters()}
        self.added = {name for name, value in self.model.named_parameters() if "lora_" in name or id(value) not in own}
        self.tune()

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @contextmanager
    def pretraining(self) -> Iterator[None]:
        """Every weight of the T5 changes, and nothing that was added counts."""
        for name, value in self.model.named_parameters():
            value.requires_grad = name not in self.added
        plain = self.tuning == Tuning.FULL
        without: AbstractContextManager[Any] = nullcontext() if plain else self.model.disable_adapter()
        with without:
            yield
        self.tune()

    def tune(self) -> None:
        """What is to change does, from now on."""
        for name, value in self.model.named_parameters():
            value.requires_grad = self.tuning == Tuning.FULL or name in self.added

    @property
    def trained(self) -> int:
        """How many numbers change."""
        return sum(value.numel() for value in self.parameters() if value.requires_grad)

    @property
    def memory(self) -> int:
        """Bytes of weights, and of gradients and AdamW's two moments of those that change."""
        return BYTES * (sum(value.numel() for value in self.parameters()) + 3 * self.trained)

    def loss(self, questions: dict[str, Tensor], answers: Tensor) -> Tensor:
        """() the mean cross entropy of the answers' words (n, L), `IGNORED` behind each one's end."""
        loss: Tensor = self.model(**questions, labels=answers).loss
        return loss

    def first_words(self, questions: dict[str, Tensor], words: Tensor) -> Tensor:
        """(n, words) logits of the answers' first word, among some."""
        start = torch.zeros((len(questions["input_ids"]), 1), dtype=torch.long, device=self.device)
        logits: Tensor = self.model(**questions, decoder_input_ids=start).logits[:, 0]
        return logits[:, words]


def adapted(t5: Any, tuning: Tuning) -> Any:
    """The T5 itself, or within peft's model."""
    if tuning == Tuning.FULL:
        return t5
    try:
        import peft
    except ImportError:
        raise RecSimError("tuning by lora or prompt needs peft: pip install 'recsim-env[llm]'") from None
    kind = peft.TaskType.SEQ_2_SEQ_LM
    lora = peft.LoraConfig(task_type=kind, r=RANK, lora_alpha=2 * RANK, target_modules=["q", "v"])
    prompt = peft.PromptTuningConfig(task_type=kind, num_virtual_tokens=VIRTUAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of peft's, about a name within transformers
        return peft.get_peft_model(t5, lora if tuning == Tuning.LORA else prompt)
