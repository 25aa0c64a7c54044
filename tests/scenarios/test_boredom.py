"""Boredom: what a step does to a user, how places are clicked, and the file of items.

Verbs run as plain Python, one user at a time. Checks that a planted bug must fail are functions of their own; a bug
is planted in a function that a verb calls.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsim_env.errors import DataError, InvalidParameter
from recsim_env.registration import find_world, preset_files
from recsim_env.simulator import Options, Simulator
from recsim_env.streams import STREAM
from scenarios import bored_user
from scenarios.bored_user import BoredomType, ClickModel, Influence
from scenarios.boredom import Boredom, draw_items

DATA = Path(__file__).parents[2].parent / "shared" / "data"
PUBLISHED = {DATA / "sardine_items.npy": 1000, DATA / "sardine_items_rerank.npy": 10}
PRESETS = (
    "single_static single_influence single_uncertain slate slate_influence slate_uncertain rerank_static rerank_bored"
)
TOPICS = 6
Make = Callable[..., Boredom]
Check = Callable[[Make], None]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Worlds in which item k is all of topic k."""
    path = tmp_path_factory.mktemp("items") / "pure.npy"
    np.save(path, np.eye(TOPICS))
    sizes = {"items": path, "num_items": TOPICS, "num_topics": TOPICS, "num_candidates": TOPICS, "slate_size": 2}
    return lambda **changes: Boredom(**{**sizes, "offset": 0.3, "slope": 5.0, **changes})


class Fixed:
    """Luck that was decided: the draws, one after another."""

    def __init__(self, draws: np.ndarray) -> None:
        self.draws = iter(draws.tolist())

    def uniform(self) -> float:
        return next(self.draws)


class Person:
    """One user, and the verbs as plain Python."""

    def __init__(self, world: Boredom, seed: int = 1) -> None:
        self.world, self.me = world, world.compiled_self
        self.user = np.zeros(1, world.user_dtype)[0]
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(seed, 0)
        Boredom.arrive(self.me, self.user, self.rng)

    def offered(self, shown: list[int]) -> np.ndarray:
        items = np.zeros(len(shown), self.world.item_dtype)
        items["id"] = shown
        return items

    def see(self, shown: list[int], clicked: list[bool]) -> None:
        """Live a step in which these places were clicked."""
        responses = np.zeros(len(shown), self.world.response_dtype)
        responses["clicked"] = clicked
        Boredom.evolve(self.me, self.user, self.offered(shown), np.arange(len(shown)), responses, self.rng)

    def click(self, *shown: int) -> None:
        self.see(list(shown), [True] * len(shown))

    def responses(self, shown: list[int], rng: Any) -> np.ndarray:
        responses = np.zeros(len(shown), self.world.response_dtype)
        scratch = np.full(self.world.scratch_size, 99.0)
        Boredom.respond(self.me, self.user, self.offered(shown), np.arange(len(shown)), responses, scratch, rng)
        return responses

    def chances(self, shown: list[int]) -> np.ndarray:
        """How likely each place is clicked: the draw from which on it is not, by bisection."""
        low, high = np.zeros(len(shown)), np.ones(len(shown))
        for _ in range(40):
            middle = (low + high) / 2
            clicked = self.responses(shown, Fixed(middle))["clicked"] == 1.0
            low, high = np.where(clicked, middle, low), np.where(clicked, high, middle)
        return low

    def appeal(self, item: int) -> float:
        return Boredom.appeal(self.me, self.user, self.offered([item])[0])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def fails(check: Check, make: Make) -> bool:
    try:
        check(make)
    except AssertionError:
        return True
    return False


# -- what a step changes ---------------------------------------------------------------------------------


class Account:
    """A life told again from the paper's account, with lists and numpy."""

    def __init__(self, world: Boredom, taste: np.ndarray) -> None:
        self.world, self.taste, self.time = world, taste.copy(), 0
        self.ring: collections.deque[tuple[int, int]] = collections.deque(maxlen=world.window)
        self.bored: dict[int, int] = {}
        self.counts = np.zeros(world.num_topics)

    def live(self, clicked: list[int]) -> None:
        world = self.world
        self.ring.extend((int(np.argmax(world.vectors[item])), self.time) for item in clicked)
        self.time += 1
        while self.ring and self.ring[0][1] < self.time - world.memory:
            self.ring.popleft()
        self.bored = {topic: left - 1 for topic, left in self.bored.items() if left > 1}
        self.counts = np.bincount([topic for topic, _ in self.ring], minlength=world.num_topics)
        for topic in np.flatnonzero(self.counts >= world.threshold):
            self.bored.setdefault(int(topic), world.timeout)
        if clicked:
            axis = None if world.influence == Influence.AS_RELEASED else 0
            moved = world.omega * self.taste + (1 - world.omega) * world.vectors[clicked].mean(axis=axis)
            self.taste = moved / np.linalg.norm(moved)

    def mood(self) -> np.ndarray:
        if self.world.boredom_type == BoredomType.CHURN_AND_RETURN:
            return self.taste * (not self.bored)
        return np.where(np.isin(np.arange(self.world.num_topics), list(self.bored)), 0.0, self.taste)


CHURN: dict[str, Any] = {"omega": 0.9, "influence": "as_released", "threshold": 4}
LOSS: dict[str, Any] = {"omega": 0.8, "influence": "as_described", "boredom_type": "loss_of_interest", "threshold": 3}
SHORT: dict[str, Any] = {"window": 4, "memory": 2, "timeout": 3, "threshold": 3, "bored_share": 0.5}
SETTINGS = [CHURN, LOSS, SHORT, {"threshold": 2, "timeout": 1, "memory": 1}, {"threshold": 11}]


def lives_are_as_told(changes: dict[str, Any]) -> Check:
    """Random clicks on drawn items: after each step the user is what the account says."""

    def check(make: Make) -> None:
        world = make(items="", num_items=20, **changes)
        person, rng, was_bored = Person(world), np.random.default_rng(0), 0
        account = Account(world, person.user.taste)
        for _ in range(60):
            shown = rng.integers(5, size=4).tolist()
            clicked = (rng.random(4) < 0.3).tolist()
            person.see(shown, clicked)
            account.live([item for item, yes in zip(shown, clicked, strict=True) if yes])
            assert person.user.taste == pytest.approx(account.taste, abs=1e-12)
            assert person.user.mood == pytest.approx(account.mood(), abs=1e-12)
            assert person.user.hist == pytest.approx(np.clip(account.counts / world.threshold, 0, 1))
            assert dict(enumerate(person.user.bored)) == {**dict.fromkeys(range(TOPICS), 0), **account.bored}
            assert person.user.keenness == world.bored_share ** len(account.bored)
            was_bored += bool(account.bored)
        assert (was_bored > 3) == (world.threshold <= world.window)

    return check


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_lives_are_as_the_account_tells_them(make: Make, changes: dict[str, Any]) -> None:
    lives_are_as_told(changes)(make)


def topics_bore_at_the_threshold_for_five_steps(make: Make) -> None:
    person = Person(make(threshold=3))
    person.click(0, 1)
    person.click(0)
    assert not person.user.bored.any()
    person.click(0)
    lived = 0
    while person.user.bored.any():
        assert np.flatnonzero(person.user.bored).tolist() == [0]
        person.see([2], [False])
        lived += 1
    assert lived == 5
    assert np.array_equal(person.user.mood, person.user.taste)


def churn_takes_all_interest_and_loss_that_in_the_topic(make: Make) -> None:
    churns, loses = Person(make(threshold=1)), Person(make(threshold=1, boredom_type="loss_of_interest"))
    liked, other = np.flatnonzero(churns.user.taste)[:2].tolist()
    assert np.array_equal(churns.user.taste, loses.user.taste)
    for person in (churns, loses):
        assert np.array_equal(person.user.mood, person.user.taste)
        person.click(liked)
    assert not churns.user.mood.any()
    assert loses.user.mood[liked] == 0.0 < loses.user.mood[other]
    assert np.array_equal(np.delete(loses.user.mood, liked), np.delete(loses.user.taste, liked))


def described_influence_pulls_toward_what_is_clicked(make: Make) -> None:
    person = Person(make(omega=0.9, influence="as_described", threshold=11))
    disliked = int(np.argmin(person.user.taste))
    before = person.user.taste.copy()
    person.click(disliked)
    assert person.user.taste[disliked] > before[disliked]
    assert (np.delete(person.user.taste, disliked) <= np.delete(before, disliked)).all()
    for _ in range(80):
        person.click(disliked)
    assert person.user.taste == pytest.approx(np.eye(TOPICS)[disliked], abs=0.01)


def released_influence_adds_one_number_to_each_topic(make: Make) -> None:
    person = Person(make(omega=0.9, influence="as_released", threshold=11))
    before = person.user.taste.copy()
    person.see([0, 1, 2], [True, False, True])
    expected = 0.9 * before + 0.1 / TOPICS  # the mean over the numbers of clicked unit vectors
    assert person.user.taste == pytest.approx(expected / np.linalg.norm(expected), abs=1e-12)


def clicks_count_within_the_window_and_the_memory(make: Make) -> None:
    person = Person(make(threshold=11, window=4, memory=3))
    person.click(0, 1, 2)
    person.click(3, 4)  # five clicks: the first one is forgotten
    assert (11 * person.user.hist).round().tolist() == [0, 1, 1, 1, 1, 0]
    person.see([5], [False])
    assert (11 * person.user.hist).round().tolist() == [0, 1, 1, 1, 1, 0]
    person.see([5], [False])  # the first slate was shown more than three steps ago
    assert (11 * person.user.hist).round().tolist() == [0, 0, 0, 1, 1, 0]


def test_topics_bore_at_the_threshold_for_five_steps(make: Make) -> None:
    topics_bore_at_the_threshold_for_five_steps(make)


def test_what_boredom_takes_away(make: Make) -> None:
    churn_takes_all_interest_and_loss_that_in_the_topic(make)


def test_influence_as_described_and_as_released(make: Make) -> None:
    described_influence_pulls_toward_what_is_clicked(make)
    released_influence_adds_one_number_to_each_topic(make)


def test_the_window_and_the_memory_of_clicks(make: Make) -> None:
    clicks_count_within_the_window_and_the_memory(make)


def with_other(function: str, **changes: Callable[[Any], Any]) -> tuple[str, Callable[..., Any]]:
    """A planted bug: the function sees other parameters than the world's, each made from `self`."""
    right = getattr(bored_user, function)
    return function, lambda me, *rest: right(me._replace(**{k: change(me) for k, change in changes.items()}), *rest)


def feels_the_opposite(me: Any, user: Any) -> None:
    bored = user.bored.copy()
    user.bored[:] = bored == 0
    bored_user.feel(me, user)
    user.bored[:] = bored


BOREDOM, INFLUENCE = topics_bore_at_the_threshold_for_five_steps, described_influence_pulls_toward_what_is_clicked
EFFECT, RELEASED = churn_takes_all_interest_and_loss_that_in_the_topic, released_influence_adds_one_number_to_each_topic
CLICKS = clicks_count_within_the_window_and_the_memory
BUGS: list[tuple[tuple[str, Callable[..., Any]], Check, dict[str, Any]]] = [
    (with_other("follow_clicks", omega=lambda me: 2.0 - me.omega), INFLUENCE, LOSS),  # the pull has the wrong sign
    (with_other("follow_clicks", omega=lambda me: 2.0 - me.omega), RELEASED, CHURN),
    (with_other("follow_clicks", influence=lambda me: 1 - me.influence), RELEASED, CHURN),
    (with_other("follow_clicks", influence=lambda me: 1 - me.influence), INFLUENCE, LOSS),
    (("feel", feels_the_opposite), EFFECT, CHURN),  # so has boredom
    (with_other("feel", boredom_type=lambda me: 1 - me.boredom_type), EFFECT, CHURN),
    (with_other("tire", threshold=lambda me: me.threshold + 1), BOREDOM, CHURN),
    (with_other("tire", threshold=lambda me: -me.threshold), BOREDOM, CHURN),
    (with_other("tire", timeout=lambda me: me.timeout + 1), BOREDOM, CHURN),
    (with_other("tire", timeout=lambda me: me.timeout - 1), BOREDOM, CHURN),
    (with_other("tire", memory=lambda me: me.memory + 1), CLICKS, SHORT),
    (with_other("tire", memory=lambda me: me.memory - 1), CLICKS, SHORT),
    (with_other("remember", window=lambda me: me.window - 1), CLICKS, SHORT),
]


@pytest.mark.parametrize(("bug", "check", "setting"), BUGS)
def test_planted_bugs_are_found_by_the_pointed_check_and_by_the_account(
    make: Make, monkeypatch: pytest.MonkeyPatch, bug: tuple[str, Callable[..., Any]], check: Check, setting: Any
) -> None:
    assert not fails(check, make)
    monkeypatch.setattr(f"scenarios.boredom.{bug[0]}", bug[1])
    assert fails(check, make)
    assert fails(lives_are_as_told(setting), make)


def test_a_mood_that_misses_the_last_influence_is_found(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order within a step: boredom is applied to what influence left."""

    def feel_then_follow(me: Any, user: Any, *clicked: Any) -> None:
        bored_user.feel(me, user)
        bored_user.follow_clicks(me, user, *clicked)

    monkeypatch.setattr("scenarios.boredom.follow_clicks", feel_then_follow)
    monkeypatch.setattr("scenarios.boredom.feel", lambda me, user: user.clicks == 0 and bored_user.feel(me, user))
    assert fails(lives_are_as_told({**CHURN, "threshold": 11}), make)


def test_without_clicks_or_with_omega_1_a_taste_stays(make: Make) -> None:
    for omega, clicked in ((0.5, False), (1.0, True)):
        person = Person(make(omega=omega, threshold=11))
        before = person.user.taste.copy()
        for item in range(TOPICS):
            person.see([item, 0], [clicked, clicked])
        assert np.array_equal(person.user.taste, before)
        assert np.array_equal(person.user.mood, before)


# -- what gets clicked -----------------------------------------------------------------------------------


def clicks_fall_with_the_place(make: Make) -> None:
    person = Person(make(slope=0.0, gamma=0.6))
    assert person.chances([0, 1, 2, 3]) == pytest.approx(0.5 * 0.6 ** np.arange(4))


def mixed_clicks_are_alike_from_both_ends(make: Make) -> None:
    chances = Person(make(slope=0.0, gamma=0.6, click_model="mix_pbm")).chances([0, 1, 2, 3, 4])
    assert chances == pytest.approx(chances[::-1])
    assert chances == pytest.approx(0.25 * (0.6 ** np.arange(5) + 0.6 ** np.arange(5)[::-1]))
    assert chances[0] > chances[1] > chances[2]


def four_of_a_topic_halve_relevance(make: Make) -> None:
    person = Person(make(slope=0.0, gamma=1.0, diversity_penalty=2.0))
    assert person.chances([0, 0, 1, 2, 0]) == pytest.approx(0.5)
    assert person.chances([0, 0, 1, 2, 0, 3, 0]) == pytest.approx(0.25)
    assert person.chances([1, 1, 1, 0, 0, 0, 2, 2, 2]) == pytest.approx(0.5)
    assert Person(make(slope=0.0, gamma=1.0)).chances([0, 0, 0, 0]) == pytest.approx(0.5)
    two = Person(make(slope=0.0, gamma=1.0, diversity_penalty=2.0, same_topic=2))
    assert two.chances([0, 1, 2, 0]) == pytest.approx(0.25)


def upside_down(me: Any, user: Any, item: int, divisor: float, place: int, places: int, rng: Any) -> bool:
    return bored_user.is_clicked(me, user, item, divisor, places - 1 - place, places, rng)


@pytest.mark.parametrize(
    ("check", "bug"),
    [
        (clicks_fall_with_the_place, ("is_clicked", upside_down)),
        (clicks_fall_with_the_place, with_other("is_clicked", click_model=lambda me: ClickModel.MIX_PBM)),
        (clicks_fall_with_the_place, with_other("is_clicked", gamma=lambda me: 1 / me.gamma)),
        (mixed_clicks_are_alike_from_both_ends, with_other("is_clicked", click_model=lambda me: ClickModel.TD_PBM)),
        (four_of_a_topic_halve_relevance, with_other("monotony", same_topic=lambda me: me.same_topic + 1)),
        (
            four_of_a_topic_halve_relevance,
            with_other("monotony", diversity_penalty=lambda me: 1 / me.diversity_penalty),
        ),
    ],
)
def test_how_places_are_clicked_and_planted_bugs(
    make: Make, monkeypatch: pytest.MonkeyPatch, check: Check, bug: tuple[str, Callable[..., Any]]
) -> None:
    check(make)
    monkeypatch.setattr(f"scenarios.boredom.{bug[0]}", bug[1])
    assert fails(check, make)


def test_relevance_is_the_sigmoid_of_the_match_over_the_longest_item(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(0.0, 2.0, (30, 10))
    np.save(tmp_path / "any.npy", vectors)
    person = Person(
        Boredom(items=tmp_path / "any.npy", num_items=30, num_candidates=30, offset=0.2, slope=4.0, gamma=1)
    )
    logits = 4.0 * (vectors @ person.user.taste / np.linalg.norm(vectors, axis=1).max() - 0.2)
    assert person.chances(list(range(30))) == pytest.approx(sigmoid(logits))
    assert [person.appeal(item) for item in range(30)] == pytest.approx(logits)


def test_steep_slopes_overflow_nowhere_and_keep_the_order_of_appeal(make: Make) -> None:
    person = Person(make(slope=1e6, gamma=1.0))
    appeals = np.array([person.appeal(item) for item in range(TOPICS)])
    assert person.chances(list(range(TOPICS))) == pytest.approx((appeals > 0).astype(float))
    assert np.array_equal(np.argsort(appeals), np.argsort(5.0 * (person.user.taste - 0.3)))


def test_the_bored_still_click_and_less_where_each_bored_topic_halves_relevance(make: Make) -> None:
    plain, halved = Person(make(threshold=1, gamma=1.0)), Person(make(threshold=1, gamma=1.0, bored_share=0.5))
    for person in (plain, halved):
        person.click(0, 1, 1)
    assert plain.chances([2, 3]) == pytest.approx(sigmoid(np.full(2, -5.0 * 0.3)))
    assert plain.chances([2])[0] == pytest.approx(0.18, abs=0.005)  # as published
    assert halved.chances([2, 3]) == pytest.approx(sigmoid(np.full(2, -5.0 * 0.3)) / 4)


# -- the world as a whole ----------------------------------------------------------------------------------


def simulate(world: Boredom, users: int, **options: Any) -> Simulator:
    return Simulator(world, users, Options(jit=False, **options), autoreset=True)


def test_a_session_is_a_first_slate_and_then_so_many_steps(make: Make) -> None:
    world, users = make(session_steps=4, slate_size=6), 30
    simulator, rng = simulate(world, users), np.random.default_rng(0)
    seen = simulator.layout.split(simulator.reset(3))
    first = simulator.state.slates.copy()
    assert max(len(set(slate)) for slate in first.tolist()) > min(len(set(slate)) for slate in first.tolist()) < 6
    assert np.array_equal(seen["response"][:, :, 1:].argmax(axis=2), first)  # item k is all of topic k
    clicks = seen["response"][:, :, 0]
    assert clicks.any()
    counts = (clicks[:, :, None] * seen["response"][:, :, 1:]).sum(axis=1)
    assert seen["user"] == pytest.approx(np.clip(counts / world.threshold, 0, 1))
    for step in range(1, 13):
        slates = rng.random((users, TOPICS)).argsort(axis=1)
        rows, results, answers = simulator.step(slates)
        assert np.array_equal(results["reward"], answers["clicked"].sum(axis=1))
        assert (results["terminated"] == (step % 4 == 0)).all()
        assert not results["truncated"].any()
        assert np.array_equal(answers["vector"].argmax(axis=2), slates)
        assert np.array_equal(simulator.layout.split(rows)["user"], simulator.state.users["hist"].astype(np.float32))
        assert (simulator.state.users["clock"] == step % 4 + 1).all()


def test_all_items_are_offered_in_order_or_a_set_drawn_anew() -> None:
    def offers(candidates: int, times: int) -> np.ndarray:
        person = Person(Boredom(num_items=12, num_candidates=candidates, slate_size=1))
        items = np.zeros((times, candidates), person.world.item_dtype)
        for row in items:
            Boredom.offer(person.me, person.user, row, person.rng)
        return items["id"]

    assert np.array_equal(offers(12, 2), np.tile(np.arange(12), (2, 1)))
    some = offers(5, 2000)
    assert (np.diff(some, axis=1) > 0).all()
    assert some.max() == 11
    present = (some[:, :, None] == np.arange(12)).any(axis=1).astype(float)
    share = present.T @ present / len(present)  # how often each two items are on offer together
    expected = np.where(np.eye(12, dtype=bool), 5 / 12, 5 / 12 * 4 / 11)
    assert np.abs(share - expected).max() < 5 * 0.5 / math.sqrt(2000)


def test_users_like_three_to_five_topics() -> None:
    world = Boredom()
    tastes = np.array([Person(world, seed).user.taste for seed in range(1500)])
    assert np.linalg.norm(tastes, axis=1) == pytest.approx(1.0)
    assert tastes.min() == 0.0
    liked = (tastes > 0).sum(axis=1)
    chances = np.array([math.comb(10, k) * 0.4**k * 0.6 ** (10 - k) for k in (3, 4, 5)])
    expected = 1500 * chances / chances.sum()
    assert set(liked.tolist()) == {3, 4, 5}
    assert ((np.bincount(liked)[3:] - expected) ** 2 / expected).sum() < 25.0  # chi-square, 2 degrees: p = 4e-6
    assert np.abs((tastes > 0).mean(axis=0) - liked.mean() / 10).max() < 5 * 0.5 / math.sqrt(1500)
    assert Person(Boredom(num_topics=3, num_items=9, num_candidates=9, slate_size=1)).user.taste.min() > 0


def test_drawn_items_have_two_or_three_topics_and_a_seed_of_their_own() -> None:
    vectors = draw_items(4000, 10, 0)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    assert vectors.min() == 0.0
    topics = np.bincount((vectors > 0).sum(axis=1))
    assert topics.tolist() == [0, 0, topics[2], topics[3]]
    assert abs(topics[2] - 2000) < 5 * math.sqrt(1000)
    assert np.abs((vectors > 0).mean(axis=0) - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / 4000)
    world = Boredom()
    assert np.array_equal(world.catalogue(), Boredom().catalogue())
    assert not np.array_equal(world.catalogue(), Boredom(items_seed=1).catalogue())
    assert world.catalogue().dtype == np.float32
    assert np.array_equal(world.tables()["main_topic"], world.catalogue().argmax(axis=1))


def test_presets() -> None:
    assert set(preset_files(Boredom)) == set(PRESETS.split())
    bored = {name for name in PRESETS.split() if (w := find_world(f"boredom:{name}").make()).threshold <= w.window}
    assert bored == {"single_influence", "slate", "slate_influence", "slate_uncertain", "rerank_bored"}


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_published_items(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path} is not here")
    world = Boredom(items=path, num_items=PUBLISHED[path], num_candidates=PUBLISHED[path])
    assert world.catalogue().shape == (PUBLISHED[path], 10)
    assert np.linalg.norm(world.vectors, axis=1) == pytest.approx(1.0)
    assert set((world.vectors > 0).sum(axis=1).tolist()) == {2, 3}


def test_everybody_likes_one_of_the_published_items_so_well_that_it_is_always_clicked() -> None:
    path = next(iter(PUBLISHED))
    if not path.exists():
        pytest.skip(f"{path} is not here")
    world = find_world("boredom:single_static").make(items=path)
    for seed in range(50):
        person = Person(world, seed)
        best = int(np.argmax(world.vectors @ person.user.taste))
        assert person.chances([best])[0] == pytest.approx(1.0, abs=1e-6)  # greed gets 100.0 in 100 steps, as published


# -- mistakes ----------------------------------------------------------------------------------------------


class Pickled:
    """Something that no array of numbers holds."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "cannot be read"),
        (b"PK\x03\x04 no archive", "cannot be read"),
        (b"\x93NUMPY\x01\x00", "cannot be read"),
        (b"topic 1, topic 2", "cannot be read"),
        (np.array([Pickled()]), "cannot be read"),
        (np.array([["a"] * TOPICS] * TOPICS), "one array of real numbers"),
        (np.eye(TOPICS, dtype=complex), "one array of real numbers"),
        (np.eye(TOPICS + 1), r"has the shape \(7, 7\), which does not fit num_items=6 and num_topics=6; set them"),
        (np.ones(TOPICS), r"has the shape \(6,\)"),
        (np.full((TOPICS, TOPICS), np.nan), "finite numbers that are not all 0"),
        (np.full((TOPICS, TOPICS), np.inf), "finite numbers that are not all 0"),
        (np.zeros((TOPICS, TOPICS)), "finite numbers that are not all 0"),
    ],
)
def test_files_that_hold_no_items(make: Make, tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "items.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(DataError, match=message) as raised:
        make(items=path).tables()
    assert str(path) in str(raised.value)


def test_folders_and_archives_are_no_items(make: Make, tmp_path: Path) -> None:
    np.savez(tmp_path / "items.npz", np.eye(TOPICS))
    for path in (tmp_path, tmp_path / "items.npz"):
        with pytest.raises(DataError, match=r"Boredom\.items"):
            make(items=path).catalogue()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_candidates": 7}, r"Boredom.num_candidates must be at most num_items \(6\), not 7"),
        ({"click_model": "pbm"}, "Boredom.click_model must be one of td_pbm, mix_pbm, not 'pbm'"),
        ({"boredom_type": "churn"}, "one of churn_and_return, loss_of_interest"),
        ({"influence": "strong"}, "one of as_released, as_described"),
        ({"omega": 1.1}, r"Boredom.omega must lie in \[0, 1\], not 1.1"),
        ({"diversity_penalty": 0.0}, "Boredom.diversity_penalty must lie in"),
        ({"threshold": 0}, "Boredom.threshold must lie in"),
    ],
)
def test_parameters_out_of_their_range(make: Make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        make(**changes)
