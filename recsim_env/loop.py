"""The one loop in which time passes, for one user after another.

`build_loop` takes a scenario's verbs and a `Mode`: numba's compiler with compiled verbs, or the identity with
plain ones. The text is the same, so both modes give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from recsim_env.scenario import Verbs
from recsim_env.streams import Verb

LIFE = np.dtype(
    (
        np.record,
        np.dtype(
            [
                ("root", np.uint64),  # the user's key
                ("key", np.uint64),  # the session's key
                ("session", np.int64),
                ("step", np.int64),
                ("engagement", np.float64),
                ("clicks", np.float64),
            ],
            align=True,
        ),
    )
)


RESULT = np.dtype(
    (
        np.record,
        np.dtype(
            [
                ("reward", np.float64),
                ("repaired", np.int64),
                ("engagement", np.float64),  # this and the next two of the session so far
                ("length", np.int64),
                ("clicks", np.float64),
                ("terminated", np.bool_),
                ("truncated", np.bool_),
                # A gap without a name would hold anything, and records are compared as bytes.
                ("gap", np.uint16),
                ("gap2", np.uint32),
            ],
            align=True,
        ),
    )
)


class State(NamedTuple):
    """Everything that outlives a step, n users. The words are the records' memory as 8-byte numbers."""

    users: np.ndarray  # (n,)
    items: np.ndarray  # (n, C); the loop gets (1, C) where the offer is fixed
    responses: np.ndarray  # (n, S)
    user_words: np.ndarray  # (n, words)
    item_words: np.ndarray  # (n C, words) or (C, words)
    response_words: np.ndarray  # (n S, words)
    slates: np.ndarray  # (n, S) int64, as shown
    memory: np.ndarray  # (n, M) history, history_ids and totals, as observed
    lives: np.ndarray  # (n,) LIFE
    pending: np.ndarray  # (n, D) rewards that are earned and not yet paid, a ring of the last D steps


class Loop(NamedTuple):
    """The loop's entry points; each works on users [low, high) with a stream and scratch of its own.

    Their first argument is what is the same in every call: the scenario's self, the plan, state, streams and scratch.
    """

    begin: Callable[..., None]
    step: Callable[..., None]


ARRIVE, OFFER, RESPOND = int(Verb.ARRIVE), int(Verb.OFFER), int(Verb.RESPOND)
# Numbers as arguments of what is inlined: numba compiles a function anew for each plain number that stands in a call.
NONE, ONE = np.int64(0), np.int64(1)
WORD, COUNT, CATEGORIES, WHOLE, OFFSET = range(5)  # of a row of `Plan.columns`
EVOLVE, FIRST_SLATE, OBSERVE = int(Verb.EVOLVE), int(Verb.FIRST_SLATE), int(Verb.OBSERVE)


class Mode(NamedTuple):
    """How the loop's text becomes functions: compiled or plain."""

    entry: Callable[..., Any]  # makes a function that Python calls
    call: Callable[..., Any]  # makes one that only the loop calls
    inline: Callable[..., Any]  # makes a function that is put where it is called
    chain: Callable[..., Any]  # a key from a key
    unpack: Callable[..., Any]  # the arguments that are the same in every call
    borrow: Callable[..., Any]  # an array without a reference count


def build_loop(verbs: Verbs, mode: Mode) -> Loop:  # noqa: C901
    """The loop over users for these verbs.

    Arrays are passed one by one and indexed by row: a tuple of many arrays compiles slowly, and a view
    costs an atomic reference count, on which threads wait for each other.
    """
    arrive, come_back, offer, respond, evolve, reward_of, has_left, appeal_of = verbs
    entry, call, inline, chain, unpack, borrow = mode

    @inline
    def whole(word: Any) -> int:
        """The whole number that stands in an 8-byte word."""
        return np.float64(word).view(np.int64)  # type: ignore[return-value]

    @inline
    def clear(rows: Any, i: int, start: int, stop: int) -> None:
        """Zeros into rows[i, start:stop]; unsigned, since an index that may be negative is looked at each time."""
        for k in range(np.uint64(start), np.uint64(stop)):
            rows[i, k] = 0.0

    @inline
    def value_of(columns: Any, bounds: Any, f: int, k: int, words: Any, r: int) -> float:
        """Number k of field f of record r as a recommender sees it."""
        x = words[r, columns[f, WORD] + k]
        value = float(whole(x)) if columns[f, WHOLE] == 1 else x
        return min(max(value, bounds[f, 0]), bounds[f, 1])

    @inline
    def see(
        columns: Any,
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
        """Copy the fields [first, stop) of `count` records from r on into rows[i, start:], which holds zeros.

        A record has `width` numbers there. Field by field, so that what a field is like is looked up once; unsigned,
        so that no index is asked whether it is negative.
        """
        begin, wide, many = np.uint64(start), np.uint64(width), np.uint64(count)
        record = np.uint64(r)
        for f in range(first, stop):
            word, place, numbers = np.uint64(columns[f, WORD]), begin + np.uint64(columns[f, OFFSET]), columns[f, COUNT]
            numbers, categories, low, high = np.uint64(numbers), columns[f, CATEGORIES], bounds[f, 0], bounds[f, 1]
            if categories > 0:
                for c in range(many):
                    for k in range(numbers):
                        at = place + c * wide + k * np.uint64(categories)
                        rows[i, at + np.uint64(whole(words[record + c, word + k]))] = 1.0
            elif columns[f, WHOLE] == 1:
                for c in range(many):
                    for k in range(numbers):
                        rows[i, place + c * wide + k] = min(max(float(whole(words[record + c, word + k])), low), high)
            else:
                for c in range(many):
                    for k in range(numbers):
                        rows[i, place + c * wide + k] = min(max(words[record + c, word + k], low), high)

    @call
    def blur(
        columns: Any,
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
        for f in range(first, stop):
            if columns[f, CATEGORIES] == 0:
                for k in range(columns[f, COUNT]):
                    seen = value_of(columns, bounds, f, k, words, r) + at.normal(0.0, bounds[f, 2])
                    rows[i, start + columns[f, OFFSET] + k] = min(max(seen, bounds[f, 0]), bounds[f, 1])

    @inline
    def see_candidates(
        plan: Any, columns: Any, bounds: Any, item_words: Any, count: int, rows: Any, i: int, rng: Any
    ) -> None:
        """Features, ids, mask and hidden features of the candidates on offer."""
        r, stop = i * plan.own_items * count, plan.item_stop
        see(columns, bounds, plan.user_stop, stop, item_words, r, count, rows, i, plan.candidates, plan.item_width)
        if plan.noisy == 1:
            for c in range(count):
                start = plan.candidates + c * plan.item_width
                blur(columns, bounds, plan.user_stop, stop, item_words, r + c, rows, i, start, rng, c + 1)
        if plan.candidate_ids >= 0:
            for c in range(count):
                rows[i, plan.candidate_ids + c] = whole(item_words[r + c, plan.item_id_word])
        if plan.mask >= 0:
            for c in range(count):
                rows[i, plan.mask + c] = min(1, whole(item_words[r + c, plan.allowed_word]))
        if plan.hidden_candidates >= 0:
            first, stop, width = plan.hidden_user_stop, plan.hidden_item_stop, plan.hidden_item_width
            see(columns, bounds, first, stop, item_words, r, count, rows, i, plan.hidden_candidates, width)

    @inline
    def observe(
        me: Any,
        plan: Any,
        columns: Any,
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
        see(columns, bounds, NONE, plan.user_stop, user_words, i, ONE, rows, i, plan.user, NONE)
        if plan.noisy == 1:
            rng.rekey(lives[i].key, 8 * (lives[i].step + plan.first_slate) + OBSERVE)
            blur(columns, bounds, NONE, plan.user_stop, user_words, i, rows, i, plan.user, rng, NONE)
        if plan.user_id >= 0:
            rows[i, plan.user_id] = whole(user_words[i, plan.user_id_word])
        if plan.hidden_user >= 0:
            stop = plan.hidden_user_stop
            see(columns, bounds, plan.response_stop, stop, user_words, i, ONE, rows, i, plan.hidden_user, NONE)
        first, stop, count, width = plan.item_stop, plan.response_stop, plan.slate_size, plan.response_width
        see(columns, bounds, first, stop, response_words, i * count, count, rows, i, plan.response, width)
        if plan.shows_items == 1:
            see_candidates(plan, columns, bounds, item_words, items.shape[1], rows, i, rng)
        for k in range(np.uint64(memory.shape[1])):
            rows[i, np.uint64(plan.memory) + k] = memory[i, k]
        if plan.appeal >= 0:
            for c in range(items.shape[1]):
                rows[i, plan.appeal + c] = appeal_of(me, users[i], items[i * plan.own_items, c])

    @inline
    def remember_history(
        plan: Any,
        columns: Any,
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
        step, last = plan.slate_size * (plan.item_width + plan.response_width), plan.history_steps - 1
        ids = plan.history_steps * step
        for k in range(last * step):
            memory[i, k] = memory[i, k + step]
        if plan.item_id_word >= 0:
            for k in range(last * plan.slate_size):
                memory[i, ids + k] = memory[i, ids + k + plan.slate_size]
        clear(memory, i, last * step, last * step + step)
        for place in range(plan.slate_size):
            r, answer = i * plan.own_items * count + slates[i, place], i * plan.slate_size + place
            start = last * step + place * (plan.item_width + plan.response_width)
            see(columns, bounds, plan.user_stop, plan.item_stop, item_words, r, ONE, memory, i, start, NONE)
            if plan.noisy == 1:
                at, stop = slates[i, place] + 1, plan.item_stop
                blur(columns, bounds, plan.user_stop, stop, item_words, r, memory, i, start, rng, at)
            start += plan.item_width
            stop = plan.response_stop
            see(columns, bounds, plan.item_stop, stop, response_words, answer, ONE, memory, i, start, NONE)
            if plan.item_id_word >= 0:
                id_ = whole(item_words[r, plan.item_id_word])
                memory[i, ids + last * plan.slate_size + place] = id_

    @inline
    def was_clicked(plan: Any, response_words: Any, r: int) -> float:
        x = response_words[r, plan.clicked_word]
        return float(whole(x)) if plan.clicked_whole == 1 else x

    @inline
    def remember_totals(plan: Any, columns: Any, bounds: Any, response_words: Any, memory: Any, i: int) -> None:
        """Add the responses to the session's totals: over shown places, then over clicked ones."""
        start = plan.totals - plan.memory
        memory[i, start] += 1.0
        for place in range(plan.slate_size):
            r = i * plan.slate_size + place
            clicked = was_clicked(plan, response_words, r)
            for f in range(plan.item_stop, plan.response_stop):
                for k in range(columns[f, COUNT]):
                    column, value = start + 1 + columns[f, OFFSET] + k, 1.0
                    if columns[f, CATEGORIES] > 0:
                        column += k * (columns[f, CATEGORIES] - 1) + whole(response_words[r, columns[f, WORD] + k])
                    else:
                        value = value_of(columns, bounds, f, k, response_words, r)
                    memory[i, column] += value
                    memory[i, column + plan.response_width] += clicked * value

    @inline
    def play(
        me: Any,
        plan: Any,
        columns: Any,
        bounds: Any,
        users: Any,
        items: Any,
        responses: Any,
        item_words: Any,
        response_words: Any,
        slates: Any,
        memory: Any,
        rng: Any,
        scratch: Any,
        key: Any,
        clock: int,
        i: int,
    ) -> None:
        """Show user i the slate: the user responds, changes, and it is remembered."""
        for r in range(i * plan.slate_size, (i + 1) * plan.slate_size):
            clear(response_words, r, NONE, response_words.shape[1])
        rng.rekey(key, 8 * clock + RESPOND)
        respond(me, users[i], items[i * plan.own_items], slates[i], responses[i], scratch, rng)
        rng.rekey(key, 8 * clock + EVOLVE)
        evolve(me, users[i], items[i * plan.own_items], slates[i], responses[i], rng)
        if plan.history_steps > 0:
            count = items.shape[1]
            rng.rekey(key, 8 * clock + OBSERVE)
            remember_history(plan, columns, bounds, item_words, response_words, slates, memory, count, rng, i)
        if plan.totals >= 0:
            remember_totals(plan, columns, bounds, response_words, memory, i)

    @call
    def forget(plan: Any, user_words: Any, response_words: Any, memory: Any, session: int, i: int) -> None:
        """Clear what belongs to one session, and the user where nobody comes back."""
        for r in range(i * plan.slate_size, (i + 1) * plan.slate_size):
            clear(response_words, r, NONE, response_words.shape[1])
        clear(memory, i, NONE, memory.shape[1])
        if plan.history_ids >= 0:
            start = plan.history_ids - plan.memory
            for k in range(start, start + plan.history_steps * plan.slate_size):
                memory[i, k] = -1.0
        if plan.keeps_user == 0 or session == 0:
            clear(user_words, i, NONE, user_words.shape[1])

    @call
    def begin_one(
        me: Any,
        plan: Any,
        columns: Any,
        bounds: Any,
        users: Any,
        items: Any,
        responses: Any,
        user_words: Any,
        item_words: Any,
        response_words: Any,
        slates: Any,
        memory: Any,
        lives: Any,
        pending: Any,
        rng: Any,
        scratch: Any,
        session: int,
        i: int,
    ) -> None:
        """Start a session: the person comes, candidates are offered, and a first slate shown where there is one."""
        life = lives[i]
        key = chain(life.root, session)
        life.session, life.step, life.engagement, life.clicks, life.key = session, 0, 0.0, 0.0, key
        forget(plan, user_words, response_words, memory, session, i)
        clear(pending, i, NONE, pending.shape[1])
        rng.rekey(key, ARRIVE)
        if session == 0:
            arrive(me, users[i], rng)
        else:
            come_back(me, users[i], rng)
        if plan.own_items == 1:
            rng.rekey(key, OFFER)
            offer(me, users[i], items[i], rng)
        if plan.first_slate == 1:
            rng.rekey(key, FIRST_SLATE)
            for place in range(plan.slate_size):
                slates[i, place] = rng.integer(items.shape[1])
            play(
                me, plan, columns, bounds, users, items, responses, item_words, response_words, slates, memory,
                rng, scratch, key, life.step, i,
            )  # fmt: skip
            if plan.own_items == 1:
                rng.rekey(key, 8 + OFFER)
                offer(me, users[i], items[i], rng)

    @inline
    def is_allowed(plan: Any, item_words: Any, slates: Any, count: int, i: int, c: int, place: int) -> bool:
        """Whether candidate c may stand at `place`, given the places above."""
        if plan.allowed_word >= 0 and whole(item_words[i * plan.own_items * count + c, plan.allowed_word]) == 0:
            return False
        for above in range(place):  # noqa: SIM110 - any() allocates
            if slates[i, above] == c:
                return False
        return True

    @inline
    def repair(plan: Any, item_words: Any, slates: Any, actions: Any, count: int, i: int) -> int:
        """Take over user i's slate; a repeated or masked position becomes the lowest allowed one."""
        repaired = 0
        for place in range(plan.slate_size):
            c = actions[i, place]
            if not is_allowed(plan, item_words, slates, count, i, c, place):
                repaired += 1
                c = NONE
                while c < count - 1 and not is_allowed(plan, item_words, slates, count, i, c, place):
                    c += 1
            slates[i, place] = c
        return repaired

    @entry
    def begin(
        given: Any,
        rows: Any,
        who: Any,
        again: int,
        low: int,
        high: int,
        slot: int,
    ) -> None:
        """Start session 0 (or with `again` 1 the next one) of the users who[low:high], and observe."""
        (
            me, plan, columns, bounds, users, items, responses, user_words, item_words, response_words, slates, memory,
            lives, pending, streams, scratches,
        ) = unpack(given)  # fmt: skip
        rows, who = borrow(rows), borrow(who)
        rng, scratch = streams[slot, 0], scratches[slot][: plan.scratch_size]
        for k in range(low, high):
            i = who[k]
            session = (lives[i].session + 1) * again
            begin_one(
                me, plan, columns, bounds, users, items, responses, user_words, item_words, response_words,
                slates, memory, lives, pending, rng, scratch, session, i,
            )  # fmt: skip
            observe(
                me, plan, columns, bounds, users, items, user_words, item_words, response_words, memory,
                lives, rng, rows, i,
            )  # fmt: skip

    @inline
    def pay(pending: Any, result: Any, step: int, i: int) -> None:
        """Pay what was earned some steps ago instead of now; at the session's end, all that is due."""
        slot = step % pending.shape[1]
        earned, result.reward = result.reward, pending[i, slot]
        pending[i, slot] = earned
        if result.terminated or result.truncated:
            for k in range(pending.shape[1]):
                result.reward += pending[i, k]

    @inline
    def live(
        me: Any,
        plan: Any,
        columns: Any,
        bounds: Any,
        users: Any,
        items: Any,
        responses: Any,
        item_words: Any,
        response_words: Any,
        slates: Any,
        memory: Any,
        lives: Any,
        pending: Any,
        rng: Any,
        scratch: Any,
        result: Any,
        i: int,
    ) -> None:
        """One step of one user, after the slate is known."""
        life = lives[i]
        key, clock = life.key, life.step + plan.first_slate
        play(
            me, plan, columns, bounds, users, items, responses, item_words, response_words, slates, memory,
            rng, scratch, key, clock, i,
        )  # fmt: skip
        life.step += 1
        result.reward = reward_of(me, users[i], responses[i])
        life.engagement += result.reward
        for r in range(i * plan.slate_size, (i + 1) * plan.slate_size):
            life.clicks += was_clicked(plan, response_words, r)
        result.engagement, result.length, result.clicks = life.engagement, life.step, life.clicks
        result.terminated = has_left(me, users[i])
        result.truncated = life.step >= plan.horizon
        if pending.shape[1] > 0:
            pay(pending, result, life.step, i)
        if plan.own_items == 1 and not result.terminated:
            rng.rekey(key, 8 * (clock + 1) + OFFER)
            offer(me, users[i], items[i], rng)

    @entry
    def step(
        given: Any,
        rows: Any,
        actions: Any,
        results: Any,
        answers: Any,
        low: int,
        high: int,
        slot: int,
    ) -> None:
        """Show each user their slate; time passes; observe. `answers` keep the responses.

        Where a session ended, this is its last observation; `begin` starts the next one.
        """
        (
            me, plan, columns, bounds, users, items, responses, user_words, item_words, response_words, slates, memory,
            lives, pending, streams, scratches,
        ) = unpack(given)  # fmt: skip
        rows, actions, results, answers = borrow(rows), borrow(actions), borrow(results), borrow(answers)
        rng, scratch = streams[slot, 0], scratches[slot][: plan.scratch_size]
        for i in range(low, high):
            result = results[i]
            result.repaired = repair(plan, item_words, slates, actions, items.shape[1], i)
            live(
                me, plan, columns, bounds, users, items, responses, item_words, response_words, slates, memory,
                lives, pending, rng, scratch, result, i,
            )  # fmt: skip
            for r in range(i * plan.slate_size, (i + 1) * plan.slate_size):
                for word in range(answers.shape[1]):
                    answers[r, word] = response_words[r, word]
            observe(
                me, plan, columns, bounds, users, items, user_words, item_words, response_words, memory,
                lives, rng, rows, i,
            )  # fmt: skip

    return Loop(begin, step)
