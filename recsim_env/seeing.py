"""What is seen of a user: the observation's row, the history and the totals, copied out of the records' memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from recsim_env.form import CATEGORY, KIND, OFFSET, WHOLE, WORD, Form
from recsim_env.streams import Verb

# Numbers as arguments of a part: numba compiles a function anew for each plain number that stands in a call.
NONE, ONE = np.int64(0), np.int64(1)
OBSERVE = int(Verb.OBSERVE)


class Mode(NamedTuple):
    """How the loop's text becomes functions: compiled or plain."""

    entry: Callable[..., Any]  # makes a function that Python calls
    part: Callable[..., Any]  # makes one that is put where the loop calls it
    chain: Callable[..., Any]  # a key from a key
    unpack: Callable[..., Any]  # the arguments that are the same in every call
    borrow: Callable[..., Any]  # an array without a reference count


class Seeing(NamedTuple):
    """What the loop calls; as functions of arrays and a row."""

    observe: Callable[..., None]
    remember_history: Callable[..., None]
    remember_totals: Callable[..., None]
    was_clicked: Callable[..., float]
    clear: Callable[..., None]
    whole: Callable[..., int]
    first_item: Callable[..., int]


def build_seeing(appeal_of: Callable[..., float], form: Form, mode: Mode) -> Seeing:  # noqa: C901
    """These functions for a scenario's `appeal` and form, compiled or plain."""
    part = mode.part
    sizes, columns = form.sizes, np.array(form.columns, np.int64).reshape(-1, 3)
    # A branch on a name that holds a constant is not even compiled, where the constant says no.
    noisy, own_items, shows_items, clicked_whole = form.noisy, form.own_items, form.shows_items, form.clicked_whole
    first_slate = form.first_slate
    with_user_id, with_candidate_ids = "user_id" in form.keys, "candidate_ids" in form.keys
    with_mask, with_appeal, with_history_ids = (key in form.keys for key in ("mask", "appeal", "history_ids"))
    with_hidden_user, with_hidden_candidates = "hidden_user" in form.keys, "hidden_candidates" in form.keys

    @part
    def whole(word: Any) -> int:
        """The whole number that stands in an 8-byte word."""
        return np.float64(word).view(np.int64)  # type: ignore[return-value]

    @part
    def clear(rows: Any, i: int, start: int, stop: int) -> None:
        """Zeros into rows[i, start:stop]; unsigned, since an index that may be negative is looked at each time."""
        for k in range(np.uint64(start), np.uint64(stop)):
            rows[i, k] = 0.0

    @part
    def first_item(i: int, count: int) -> Any:
        """The row of user i's first candidate, of `count`."""
        return i * count if own_items else NONE

    @part
    def value_of(bounds: Any, n: int, words: Any, r: int) -> float:
        """Number n, no category, of record r as a recommender sees it."""
        x = words[np.uint64(r), np.uint64(columns[n, WORD])]
        value = float(whole(x)) if columns[n, KIND] == WHOLE else x
        return min(max(value, bounds[n, 0]), bounds[n, 1])

    @part
    def see(
        bounds: Any,
        first: int,
        stop: int,
        words: Any,
        r: int,
        count: int,
        rows: Any,
        i: int,
        start: int,
        width: int,
    ) -> None:
        """Copy the numbers [first, stop) of `count` records from r on into rows[i, start:], which holds zeros.

        A record has `width` columns there. Unsigned, so that no index is asked whether it is negative.
        """
        at, record = np.uint64(start), np.uint64(r)
        for _ in range(np.uint64(count)):
            for n in range(np.uint64(first), np.uint64(stop)):
                place = at + np.uint64(columns[n, OFFSET])
                if columns[n, KIND] == CATEGORY:
                    rows[i, place + np.uint64(whole(words[record, np.uint64(columns[n, WORD])]))] = 1.0
                else:
                    rows[i, place] = value_of(bounds, n, words, record)
            at += np.uint64(width)
            record += np.uint64(1)

    @part
    def blur(
        bounds: Any,
        first: int,
        stop: int,
        words: Any,
        r: int,
        rows: Any,
        i: int,
        start: int,
        rng: Any,
        position: int,
    ) -> None:
        """Put noise on the numbers that `see` copied, within their bounds.

        The draws belong to `position`, so that a candidate looks the same in the history as when it was on offer.
        """
        at = rng.at(position)
        for n in range(first, stop):
            if columns[n, KIND] != CATEGORY:
                seen = value_of(bounds, n, words, r) + at.normal(0.0, bounds[n, 2])
                rows[i, start + columns[n, OFFSET]] = min(max(seen, bounds[n, 0]), bounds[n, 1])

    @part
    def see_candidates(plan: Any, bounds: Any, item_words: Any, count: int, rows: Any, i: int, rng: Any) -> None:
        """Features, ids, mask and hidden features of the candidates on offer."""
        r, stop, width = first_item(i, count), sizes.item_stop, sizes.item_width
        see(bounds, sizes.user_stop, stop, item_words, r, count, rows, i, plan.candidates, width)
        if noisy:
            for c in range(count):
                start = plan.candidates + c * width
                blur(bounds, sizes.user_stop, stop, item_words, r + c, rows, i, start, rng, c + 1)
        if with_candidate_ids:
            for c in range(count):
                rows[i, plan.candidate_ids + c] = whole(item_words[r + c, sizes.item_id_word])
        if with_mask:
            for c in range(count):
                rows[i, plan.mask + c] = min(1, whole(item_words[r + c, sizes.allowed_word]))
        if with_hidden_candidates:
            first, stop, width = sizes.hidden_user_stop, sizes.hidden_item_stop, sizes.hidden_item_width
            see(bounds, first, stop, item_words, r, count, rows, i, plan.hidden_candidates, width)

    @part
    def observe(
        me: Any,
        plan: Any,
        bounds: Any,
        users: Any,
        items: Any,
        user_words: Any,
        item_words: Any,
        response_words: Any,
        memory: Any,
        lives: Any,
        rng: Any,
        rows: Any,
        i: int,
    ) -> None:
        """Write user i's whole observation into row i."""
        clear(rows, i, NONE, rows.shape[1])
        see(bounds, NONE, sizes.user_stop, user_words, i, ONE, rows, i, plan.user, NONE)
        if noisy:
            rng.rekey(lives[i].key, 8 * (lives[i].step + int(first_slate)) + OBSERVE)
            blur(bounds, NONE, sizes.user_stop, user_words, i, rows, i, plan.user, rng, NONE)
        if with_user_id:
            rows[i, plan.user_id] = whole(user_words[i, sizes.user_id_word])
        if with_hidden_user:
            stop = sizes.hidden_user_stop
            see(bounds, sizes.response_stop, stop, user_words, i, ONE, rows, i, plan.hidden_user, NONE)
        first, stop, count, width = sizes.item_stop, sizes.response_stop, sizes.slate_size, sizes.response_width
        see(bounds, first, stop, response_words, i * count, count, rows, i, plan.response, width)
        if shows_items:
            see_candidates(plan, bounds, item_words, items.shape[1], rows, i, rng)
        for k in range(np.uint64(memory.shape[1])):
            rows[i, np.uint64(plan.memory) + k] = memory[i, k]
        if with_appeal:
            for c in range(items.shape[1]):
                rows[i, plan.appeal + c] = appeal_of(me, users[i], items[i if own_items else NONE, c])

    @part
    def remember_history(
        bounds: Any,
        item_words: Any,
        response_words: Any,
        slates: Any,
        memory: Any,
        count: int,
        rng: Any,
        i: int,
    ) -> None:
        """Move the history one step up and write the slate that was just answered below it."""
        step, last = sizes.slate_size * (sizes.item_width + sizes.response_width), sizes.history_steps - 1
        ids = sizes.history_steps * step
        for k in range(last * step):
            memory[i, k] = memory[i, k + step]
        if with_history_ids:
            for k in range(last * sizes.slate_size):
                memory[i, ids + k] = memory[i, ids + k + sizes.slate_size]
        clear(memory, i, last * step, last * step + step)
        for place in range(sizes.slate_size):
            r, answer = first_item(i, count) + slates[i, place], i * sizes.slate_size + place
            start = last * step + place * (sizes.item_width + sizes.response_width)
            see(bounds, sizes.user_stop, sizes.item_stop, item_words, r, ONE, memory, i, start, NONE)
            if noisy:
                at, stop = slates[i, place] + 1, sizes.item_stop
                blur(bounds, sizes.user_stop, stop, item_words, r, memory, i, start, rng, at)
            start += sizes.item_width
            stop = sizes.response_stop
            see(bounds, sizes.item_stop, stop, response_words, answer, ONE, memory, i, start, NONE)
            if with_history_ids:
                id_ = whole(item_words[r, sizes.item_id_word])
                memory[i, ids + last * sizes.slate_size + place] = id_

    @part
    def was_clicked(response_words: Any, r: int) -> float:
        x = response_words[r, sizes.clicked_word]
        return float(whole(x)) if clicked_whole else x

    @part
    def remember_totals(plan: Any, bounds: Any, response_words: Any, memory: Any, i: int) -> None:
        """Add the responses to the session's totals: over shown places, then over clicked ones."""
        start = plan.totals - plan.memory
        memory[i, start] += 1.0
        for place in range(sizes.slate_size):
            r = i * sizes.slate_size + place
            clicked = was_clicked(response_words, r)
            for n in range(sizes.item_stop, sizes.response_stop):
                column, value = start + 1 + columns[n, OFFSET], 1.0
                if columns[n, KIND] == CATEGORY:
                    column += whole(response_words[r, columns[n, WORD]])
                else:
                    value = value_of(bounds, n, response_words, r)
                memory[i, column] += value
                memory[i, column + sizes.response_width] += clicked * value

    return Seeing(observe, remember_history, remember_totals, was_clicked, clear, whole, first_item)
