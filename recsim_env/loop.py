"""The one loop in which time passes, for one user after another.

`build_loop` takes a scenario's verbs and a `Mode`: numba's compiler with compiled verbs, or the identity with
plain ones. The text is the same, so both modes give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from recsim_env.form import Form
from recsim_env.scenario import Verbs
from recsim_env.seeing import NONE, Mode, build_seeing
from recsim_env.streams import Verb


class Loop(NamedTuple):
    """The loop's entry points; each works on users [low, high) with a stream and scratch of its own.

    Their first argument is what is the same in every call: the scenario's self, the plan, state, streams and scratch.
    """

    begin: Callable[..., None]
    step: Callable[..., None]


ARRIVE, OFFER, RESPOND = int(Verb.ARRIVE), int(Verb.OFFER), int(Verb.RESPOND)
EVOLVE, FIRST_SLATE, OBSERVE = int(Verb.EVOLVE), int(Verb.FIRST_SLATE), int(Verb.OBSERVE)


def build_loop(verbs: Verbs, form: Form, mode: Mode) -> Loop:  # noqa: C901
    """The loop over users for these verbs and this form.

    Arrays are passed one by one and indexed by row: a tuple of many arrays compiles slowly, and a view
    costs an atomic reference count, on which threads wait for each other.
    """
    arrive, come_back, offer, respond, evolve, reward_of, has_left, appeal_of = verbs
    entry, part, chain, unpack, borrow = mode
    observe, remember_history, remember_totals, was_clicked, clear, whole, first_item = build_seeing(
        appeal_of, form, mode
    )
    sizes, own_items, first_slate, keeps_user, pays_late = (
        form.sizes, form.own_items, form.first_slate, form.keeps_user, form.pays_late
    )  # fmt: skip
    with_history, with_history_ids = sizes.history_steps > 0, "history_ids" in form.keys
    with_totals, with_masks = "totals" in form.keys, sizes.allowed_word >= 0

    @part
    def play(
        me: Any,
        plan: Any,
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
        for r in range(i * sizes.slate_size, (i + 1) * sizes.slate_size):
            clear(response_words, r, NONE, sizes.response_words)
        rng.rekey(key, 8 * clock + RESPOND)
        respond(me, users[i], items[i if own_items else NONE], slates[i], responses[i], scratch, rng)
        rng.rekey(key, 8 * clock + EVOLVE)
        evolve(me, users[i], items[i if own_items else NONE], slates[i], responses[i], rng)
        if with_history:
            count = items.shape[1]
            rng.rekey(key, 8 * clock + OBSERVE)
            remember_history(bounds, item_words, response_words, slates, memory, count, rng, i)
        if with_totals:
            remember_totals(plan, bounds, response_words, memory, i)

    @part
    def forget(plan: Any, user_words: Any, response_words: Any, memory: Any, session: int, i: int) -> None:
        """Clear what belongs to one session, and the user where nobody comes back."""
        for r in range(i * sizes.slate_size, (i + 1) * sizes.slate_size):
            clear(response_words, r, NONE, sizes.response_words)
        clear(memory, i, NONE, memory.shape[1])
        if with_history_ids:
            start = plan.history_ids - plan.memory
            for k in range(start, start + sizes.history_steps * sizes.slate_size):
                memory[i, k] = -1.0
        if not keeps_user or session == 0:
            clear(user_words, i, NONE, user_words.shape[1])

    @part
    def begin_one(
        me: Any,
        plan: Any,
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
        if own_items:
            rng.rekey(key, OFFER)
            offer(me, users[i], items[i], rng)
        if first_slate:
            rng.rekey(key, FIRST_SLATE)
            for place in range(sizes.slate_size):
                slates[i, place] = rng.integer(items.shape[1])
            play(
                me, plan, bounds, users, items, responses, item_words, response_words, slates, memory,
                rng, scratch, key, life.step, i,
            )  # fmt: skip
            if own_items:
                rng.rekey(key, 8 + OFFER)
                offer(me, users[i], items[i], rng)

    @part
    def is_allowed(item_words: Any, slates: Any, count: int, i: int, c: int, place: int) -> bool:
        """Whether candidate c may stand at `place`, given the places above."""
        if with_masks and whole(item_words[first_item(i, count) + c, sizes.allowed_word]) == 0:
            return False
        for above in range(place):  # noqa: SIM110 - any() allocates
            if slates[i, above] == c:
                return False
        return True

    @part
    def repeats(actions: Any, i: int) -> bool:
        """Whether a position stands twice in user i's slate; all pairs at once take less time than to stop early."""
        found = False
        for place in range(sizes.slate_size):
            for above in range(place):
                found |= actions[i, place] == actions[i, above]
        return found

    @part
    def repair(item_words: Any, slates: Any, actions: Any, count: int, i: int) -> int:
        """Take over user i's slate; a repeated or masked position becomes the lowest allowed one."""
        repaired = 0
        if not with_masks and not repeats(actions, i):
            for place in range(sizes.slate_size):
                slates[i, place] = actions[i, place]
            return repaired
        for place in range(sizes.slate_size):
            c = actions[i, place]
            if not is_allowed(item_words, slates, count, i, c, place):
                repaired += 1
                c = NONE
                while c < count - 1 and not is_allowed(item_words, slates, count, i, c, place):
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
            me, plan, bounds, users, items, responses, user_words, item_words, response_words, slates, memory,
            lives, pending, streams, scratches,
        ) = unpack(given)  # fmt: skip
        rows, who = borrow(rows), borrow(who)
        rng, scratch = streams[slot, 0], scratches[slot][: plan.scratch_size]
        for k in range(low, high):
            i = who[k]
            session = (lives[i].session + 1) * again
            begin_one(
                me, plan, bounds, users, items, responses, user_words, item_words, response_words,
                slates, memory, lives, pending, rng, scratch, session, i,
            )  # fmt: skip
            observe(
                me, plan, bounds, users, items, user_words, item_words, response_words, memory,
                lives, rng, rows, i,
            )  # fmt: skip

    @part
    def pay(pending: Any, result: Any, step: int, i: int) -> None:
        """Pay what was earned some steps ago instead of now; at the session's end, all that is due."""
        slot = step % pending.shape[1]
        earned, result.reward = result.reward, pending[i, slot]
        pending[i, slot] = earned
        if result.terminated or result.truncated:
            for k in range(pending.shape[1]):
                result.reward += pending[i, k]

    @part
    def live(
        me: Any,
        plan: Any,
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
        key, clock = life.key, life.step + int(first_slate)
        play(
            me, plan, bounds, users, items, responses, item_words, response_words, slates, memory,
            rng, scratch, key, clock, i,
        )  # fmt: skip
        life.step += 1
        result.reward = reward_of(me, users[i], responses[i])
        life.engagement += result.reward
        for r in range(i * sizes.slate_size, (i + 1) * sizes.slate_size):
            life.clicks += was_clicked(response_words, r)
        result.engagement, result.length, result.clicks = life.engagement, life.step, life.clicks
        result.terminated = has_left(me, users[i])
        result.truncated = life.step >= plan.horizon
        if pays_late:
            pay(pending, result, life.step, i)
        if own_items and not result.terminated:
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
            me, plan, bounds, users, items, responses, user_words, item_words, response_words, slates, memory,
            lives, pending, streams, scratches,
        ) = unpack(given)  # fmt: skip
        rows, actions, results, answers = borrow(rows), borrow(actions), borrow(results), borrow(answers)
        rng, scratch = streams[slot, 0], scratches[slot][: plan.scratch_size]
        for i in range(low, high):
            result = results[i]
            result.repaired = repair(item_words, slates, actions, items.shape[1], i)
            live(
                me, plan, bounds, users, items, responses, item_words, response_words, slates, memory,
                lives, pending, rng, scratch, result, i,
            )  # fmt: skip
            for r in range(i * sizes.slate_size, (i + 1) * sizes.slate_size):
                for word in range(sizes.response_words):
                    answers[r, word] = response_words[r, word]
            observe(
                me, plan, bounds, users, items, user_words, item_words, response_words, memory,
                lives, rng, rows, i,
            )  # fmt: skip

    return Loop(begin, step)
