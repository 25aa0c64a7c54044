"""`retention`: temper, visits and return gaps, and that who shows what is clicked most loses.

Properties are functions; for each a bug is planted in the world's own code that it must catch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recsim_env.choice import position_based
from recsim_env.dynamics import days_away
from recsim_env.errors import InvalidParameter
from recsim_env.registration import find_world
from recsim_env.scenario import Item, User
from recsim_env.simulator import Options, Simulator
from recsim_env.streams import STREAM
from scenarios.retention import Retention
from scenarios.visitor import close_visit, held, open_visit, relevance, weighted

NOTHING, CLICK, VIEW, LIKE = (0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 1, 0)
HATE = (1, 0, 0, 1)


class Visitor:
    """One user, and the verbs as plain Python."""

    def __init__(self, **changes: Any) -> None:
        self.scenario = Retention(**changes)
        self.me = self.scenario.compiled_self
        self.user = np.zeros(1, self.scenario.user_dtype)[0]
        self.items = np.zeros(self.scenario.num_candidates, self.scenario.item_dtype)
        self.slate = np.arange(self.scenario.slate_size)
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(7, 0)
        Retention.arrive(self.me, self.user, self.rng)

    def answer(self, *answers: tuple[int, ...]) -> float:
        """Live through a slate with these responses, then none; what it changes of temper within a visit."""
        responses = np.zeros(self.scenario.slate_size, self.scenario.response_dtype)
        for place, answer in enumerate(answers):
            for name, value in zip(("clicked", "long_view", "like", "hate"), answer, strict=True):
                responses[place][name] = value
        before = float(self.user.temper)
        Retention.evolve(self.me, self.user, self.items, self.slate, responses, self.rng)
        return float(self.user.temper) - before

    def respond(self) -> np.ndarray:
        responses = np.zeros(self.scenario.slate_size, self.scenario.response_dtype)
        Retention.respond(self.me, self.user, self.items, self.slate, responses, np.zeros(6), self.rng)
        return responses


# -- temper and visits ---------------------------------------------------------------------------------


def temper_falls_as_published() -> bool:
    """By 2 - the mean weighted response, from 0 to 2 a slate; weights are 1, 1, 1 and -1."""
    expected = [
        ([], -2.0),
        ([CLICK] * 6, -1.0),
        ([VIEW] * 3, -1.0),
        ([LIKE] * 6, 0.0),  # 3 a place, but no slate raises it
        ([LIKE, VIEW, CLICK, HATE], -1.0),
        ([HATE] * 6, -2.0),
    ]
    return all(Visitor().answer(*answers) == pytest.approx(change) for answers, change in expected)


def a_visit_without_responses_has_five_slates() -> bool:
    visitor = Visitor(period_days=0)
    for _ in range(4):
        visitor.answer()
        if Retention.left(visitor.me, visitor.user):
            return False
    visitor.answer()
    return Retention.left(visitor.me, visitor.user) and visitor.user.visits == 1


def visits_fill_the_period() -> bool:
    """Temper starts anew with each visit, the clock adds the gaps up, and the last one leads out of the period."""
    visitor, gaps = Visitor(period_days=30), [0.0]
    while not Retention.left(visitor.me, visitor.user):
        if visitor.user.temper != 10.0 or visitor.user.day != pytest.approx(sum(gaps)) or visitor.user.day >= 30.0:
            return False
        for _ in range(5):
            visitor.answer(CLICK)
        gaps.append(float(visitor.user.gap))
        if visitor.user.visits != len(gaps) - 1 or gaps[-1] <= 0.0:
            return False
    return visitor.user.day == pytest.approx(sum(gaps)) and visitor.user.day >= 30.0


# -- the return gap ------------------------------------------------------------------------------------


def gaps(answers: Sequence[tuple[int, ...]], visits: int = 300) -> list[float]:
    """Days away after visits whose slates all got these responses."""
    visitor, days = Visitor(period_days=0), []
    for _ in range(visits):
        while not Retention.left(visitor.me, visitor.user):
            visitor.answer(*answers)
        days.append(float(visitor.user.gap))
        Retention.come_back(visitor.me, visitor.user, visitor.rng)
    return days


def better_visits_bring_users_back_sooner() -> bool:
    """Exponential: a mean of 10 days after no response, of 1 after 1 a place, and between them halfway."""
    expected = [([], 10.0), ([CLICK] * 3, math.sqrt(10.0)), ([CLICK] * 6, 1.0), ([HATE] * 6, 10.0)]
    return all(stats.kstest(gaps(a), "expon", args=(0.0, mean)).pvalue > 1e-3 for a, mean in expected)


# -- responses -----------------------------------------------------------------------------------------


def rates(clickbait: float, interest: float, slates: int = 500) -> np.ndarray:
    """(places, responses): how often each response comes."""
    visitor = Visitor()
    visitor.user.interests[:] = interest
    visitor.items["clickbait"] = clickbait
    drawn = [visitor.respond() for _ in range(slates)]
    return np.array([[np.mean([d[place][name] for d in drawn]) for name in drawn[0].dtype.names] for place in range(6)])


def covers_lure_and_let_down() -> bool:
    """Clicks follow the logistic of bait and taste, fading by 0.9 a place; what a good cover clicks, fewer watch."""
    for clickbait, interest in ((0.2, 0.5), (0.8, -0.5), (0.5, 0.9)):
        click = 1 / (1 + math.exp(-(0.5 * interest + 4.0 * (clickbait - 0.5))))
        view = 1 / (1 + math.exp(-(0.5 + 1.5 * interest - 8.0 * (clickbait - 0.5))))
        each = np.array([1.0, view, view * 0.4, (1 - view) * 0.5])
        expected = click * 0.9 ** np.arange(6)[:, None] * each
        if np.abs(rates(clickbait, interest) - expected).max() > 0.1:  # 4.5 standard errors of 500 slates
            return False
    return True


# -- planted bugs --------------------------------------------------------------------------------------


def close_without_refill(me: Any, user: User, rng: Any) -> None:
    temper = user.temper
    close_visit(me, user, rng)
    user.temper = max(temper, 1.0) if user.day < me.period_days else temper


def open_without_forgetting(user: User) -> None:
    pleasure = user.pleasure
    open_visit(user)
    user.pleasure = pleasure


def lure_by_honesty(me: Any, user: User, item: Item) -> float:
    item = item.copy()
    item.clickbait = 1.0 - item.clickbait
    return relevance(me, user, item)


def hold_by_clickbait(me: Any, user: User, item: Item) -> float:
    item = item.copy()
    item.clickbait = 1.0 - item.clickbait
    return held(me, user, item)


PLANTED: list[tuple[Callable[[], bool], str, Callable[..., Any]]] = [
    (temper_falls_as_published, "scenarios.retention.weighted", lambda me, responses: -weighted(me, responses)),
    (temper_falls_as_published, "scenarios.retention.weighted", lambda me, responses: 6 * weighted(me, responses)),
    (temper_falls_as_published, "scenarios.retention.WANTED", 2.5),
    (a_visit_without_responses_has_five_slates, "scenarios.retention.SPENT", 3.0),
    (a_visit_without_responses_has_five_slates, "scenarios.visitor.PATIENT", 8.0),
    (visits_fill_the_period, "scenarios.retention.close_visit", close_without_refill),
    (visits_fill_the_period, "scenarios.visitor.days_away", lambda *given: -days_away(*given)),
    (
        better_visits_bring_users_back_sooner,
        "scenarios.visitor.days_away",
        lambda satisfaction, *rest: days_away(1.0 - satisfaction, *rest),
    ),
    (better_visits_bring_users_back_sooner, "scenarios.retention.open_visit", open_without_forgetting),
    (covers_lure_and_let_down, "scenarios.retention.relevance", lure_by_honesty),
    (covers_lure_and_let_down, "scenarios.retention.held", hold_by_clickbait),
    (
        covers_lure_and_let_down,
        "scenarios.retention.position_based",
        lambda likely, place, *rest: position_based(likely, 5 - place, *rest),
    ),
]


@pytest.mark.parametrize("holds", list(dict.fromkeys(holds for holds, _, _ in PLANTED)), ids=lambda h: h.__name__)
def test_property(holds: Callable[[], bool]) -> None:
    assert holds()


@pytest.mark.parametrize(
    ("holds", "where", "broken"), PLANTED, ids=[f"{h.__name__}-{w.rpartition('.')[2]}" for h, w, _ in PLANTED]
)
def test_a_planted_bug_is_caught(
    monkeypatch: pytest.MonkeyPatch, holds: Callable[[], bool], where: str, broken: Any
) -> None:
    monkeypatch.setattr(where, broken)
    assert not holds()


# -- who comes back ------------------------------------------------------------------------------------


def test_with_single_visits_the_same_person_comes_back_and_the_gap_is_observed() -> None:
    scenario = find_world("retention:single_visit").make()
    simulator = Simulator(scenario, 3, Options(jit=False), autoreset=False)
    simulator.reset(0)
    slates = np.tile(np.arange(6), (3, 1))
    for _ in range(40):
        simulator.step(slates)
    before = simulator.state.users.copy()
    seen = simulator.layout.split(simulator.reset(None))["user"]
    after = simulator.state.users
    assert (before["gap"] > 0).all()
    assert seen[:, 10] == pytest.approx(before["gap"], rel=1e-6)
    for name in ("interests", "profile", "gap", "day", "visits"):
        assert np.array_equal(after[name], before[name]), name
    assert (after["temper"] == 10.0).all()


def test_after_a_period_somebody_new_comes() -> None:
    simulator = Simulator(Retention(), 3, Options(jit=False), autoreset=False)
    simulator.reset(0)
    before = simulator.state.users.copy()
    simulator.step(np.tile(np.arange(6), (3, 1)))
    simulator.reset(None)
    assert (simulator.state.users["interests"] != before["interests"]).all()
    assert not simulator.state.users["day"].any()


def test_measures_are_visits_and_days_a_visit() -> None:
    users = np.zeros(3, Retention().user_dtype)
    users["visits"], users["day"] = (4, 1, 0), (32.0, 5.0, 0.0)
    measures = Retention().measures(users)
    assert measures["visits"].tolist() == [4.0, 1.0, 0.0]
    assert measures["return_gap"] == pytest.approx([8.0, 5.0, math.nan], nan_ok=True)


def test_gaps_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"shortest_gap must be at most longest_gap \(2\), not 3"):
        Retention(shortest_gap=3.0, longest_gap=2.0)


# -- the question of the world -------------------------------------------------------------------------

Score = Callable[[Simulator, np.ndarray], np.ndarray]  # the candidates' scores, from the simulator and its appeal


def by_luck(simulator: Simulator, appeal: np.ndarray) -> np.ndarray:
    return np.random.default_rng(int(simulator.state.lives["step"][0])).random(appeal.shape)


def by_clicks(simulator: Simulator, appeal: np.ndarray) -> np.ndarray:
    return appeal


def by_response(simulator: Simulator, appeal: np.ndarray) -> np.ndarray:
    """The expected weighted response, from what a recommender sees: told interests, topics and clickbait."""
    items, told, s = simulator.state.items, simulator.state.users["profile"], simulator.scenario
    taste, bait = np.take_along_axis(told, items["topic"], axis=1), items["clickbait"] - 0.5
    click = 1 / (1 + np.exp(-(s.click_bias + s.click_taste * taste + s.lure * bait)))
    view = 1 / (1 + np.exp(-(s.view_bias + s.view_taste * taste - s.letdown * bait)))
    return click * (s.click_weight + view * (s.view_weight + s.like) + (1 - view) * s.hate * s.hate_weight)


def lives(scenario: Retention, score: Score, users: int = 200) -> dict[str, float]:
    """Means over the users' first periods."""
    simulator = Simulator(scenario, users, Options(observe="full"), autoreset=False)
    rows, engagement, steps = simulator.reset(11), np.zeros(users), np.zeros(users)
    ended = np.zeros(users, scenario.user_dtype)
    playing = np.ones(users, bool)
    while playing.any():
        scores = score(simulator, simulator.layout.split(rows)["appeal"])
        rows, results, _ = simulator.step(np.ascontiguousarray(np.argsort(-scores, axis=1)[:, :6]))
        over = results["terminated"] & playing
        ended[over], engagement[over] = simulator.state.users[over], results["engagement"][over]
        steps[over] = results["length"][over]
        playing &= ~over
    measured = {name: float(values.mean()) for name, values in scenario.measures(ended).items()}
    return {"engagement": engagement.mean(), "clicks": engagement.sum() / steps.sum(), **measured}


def greed_loses(**changes: Any) -> bool:
    """Most clicks a slate, but fewer in all, and users who stay away longer; luck loses to both."""
    scenario = Retention(**changes)
    luck, greedy, patient = (lives(scenario, score) for score in (by_luck, by_clicks, by_response))
    return (
        greedy["clicks"] > 1.2 * patient["clicks"]
        and patient["engagement"] > 1.15 * greedy["engagement"] > 1.3 * luck["engagement"]
        and patient["return_gap"] < 0.8 * greedy["return_gap"]
        and patient["visits"] > 1.3 * greedy["visits"]
    )


def test_who_shows_what_is_clicked_most_loses() -> None:
    assert greed_loses()
    assert not greed_loses(letdown=0.0)  # covers that keep what they promise: no dilemma
