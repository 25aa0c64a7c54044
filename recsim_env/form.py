"""What the loop's text is compiled for, beside the verbs and the types of records; and what it is told with each call.

A form is constant in the compiled loop, so that the compiler leaves out what a world does not have, and knows how
often to repeat the rest. What two worlds of one form may differ in (how many candidates there are, what is a parameter
of the verbs) are arguments.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

WORD, OFFSET, KIND = range(3)  # of a row of `Form.columns`
NUMBER, WHOLE, CATEGORY = range(3)  # its kinds


class Sizes(NamedTuple):
    """Whole numbers.

    Attributes:
        user_stop, item_stop, response_stop, hidden_user_stop, hidden_item_stop: where in `Form.columns` the rows end of
            what is seen of a user, an item and a response, and of what is hidden of a user and an item.
        item_width, response_width, hidden_item_width: how many numbers are shown of one.
        user_id_word, item_id_word, allowed_word, clicked_word: which word of its record that is, -1 where none.
        response_words: how many words a response has.
    """

    user_stop: int
    item_stop: int
    response_stop: int
    hidden_user_stop: int
    hidden_item_stop: int
    item_width: int
    response_width: int
    hidden_item_width: int
    user_id_word: int
    item_id_word: int
    allowed_word: int
    clicked_word: int
    response_words: int
    slate_size: int
    history_steps: int


class Form(NamedTuple):
    """The constants of a loop.

    Attributes:
        columns: a row a number that is seen: its word in the record, the offset where it is shown (of a category: where
            its first is), and its kind. A word has 8 bytes.
        keys: the observation's, of those that stand in a user's row.
        noisy: whether there is noise on what is seen.
        own_items: whether each user is offered candidates of their own.
        shows_items: whether candidates stand in a user's row.
        first_slate: whether a random slate is shown before the first action.
        keeps_user: whether the same person comes back in the next session.
        clicked_whole: whether a click is a whole number.
        pays_late: whether rewards are paid steps after they were earned.
    """

    sizes: Sizes
    columns: tuple[tuple[int, int, int], ...]
    keys: frozenset[str]
    noisy: bool
    own_items: bool
    shows_items: bool
    first_slate: bool
    keeps_user: bool
    clicked_whole: bool
    pays_late: bool


# The loop's numbers, one record: where each key starts in a row (-1: it has no columns), history and totals together
# too; and two of the scenario's.
KEYS = """
    user user_id candidates candidate_ids response mask history history_ids totals hidden_user hidden_candidates appeal
""".split()
PLAN_NAMES = [*KEYS, "memory", "horizon", "scratch_size"]
PLAN = np.dtype((np.record, np.dtype([(name, np.int64) for name in PLAN_NAMES], align=True)))


class Plan(NamedTuple):
    """What the loop is told about observations with each call.

    Attributes:
        numbers: () PLAN.
        bounds: (N, 3) of each row of `Form.columns`: low and high of what is shown, and the standard deviation of its
            noise.
    """

    numbers: Any
    bounds: np.ndarray
