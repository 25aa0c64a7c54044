"""MovieLens: what a session does to a person, and that each part can be switched off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsim_env.dynamics import drift_toward, sate
from recsim_env.errors import DataError, InvalidParameter
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator
from recsim_env.streams import STREAM
from scenarios import film_viewer
from scenarios.film_viewer import refilled, sated
from scenarios.movielens import MovieLens, match
from tests.made_up import write_movielens

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "ml-latest-small.zip"
Policy = Callable[[dict[str, np.ndarray]], np.ndarray]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movielens(tmp_path_factory.mktemp("movielens"))


@pytest.fixture(scope="module")
def make(folder: Path) -> Callable[..., MovieLens]:
    """Worlds of one record layout, so that they share a compiled loop."""
    return lambda **changes: MovieLens(**{"data": folder, "factors": 4, "not_again": 10, **changes})


def simulate(scenario: Scenario, users: int, **options: Any) -> Simulator:
    return Simulator(scenario, users, Options(threads=1, **options), autoreset=True)


def random_slates(scenario: Scenario, users: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(seed).random((users, scenario.num_candidates)).argsort(axis=1)
    return np.ascontiguousarray(order[:, : scenario.slate_size])


class Person:
    """One user, and the verbs as plain Python."""

    def __init__(self, scenario: MovieLens) -> None:
        self.scenario, self.me = scenario, scenario.compiled_self
        self.user = np.zeros(1, scenario.user_dtype)[0]
        self.items = np.zeros(scenario.num_candidates, scenario.item_dtype)
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(12345, 0)
        MovieLens.arrive(self.me, self.user, self.rng)

    def step(self, film: int | None) -> None:
        """Watch a film, or nothing."""
        responses = np.zeros(self.scenario.slate_size, self.scenario.response_dtype)
        slate = np.arange(self.scenario.slate_size)
        if film is not None:
            self.items[0].id = film
            responses[0].clicked = 1.0
        MovieLens.evolve(self.me, self.user, self.items, slate, responses, self.rng)

    def appeal(self, film: int) -> float:
        item = np.zeros(1, self.scenario.item_dtype)[0]
        item.id = film
        return MovieLens.appeal(self.me, self.user, item)

    def quality(self, film: int) -> float:
        return float(self.me.quality[film]) + match(self.me, self.user, film)


# -- the loop ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"carry": True, "people": "new", "popularity": 2.0}])
def test_plain_and_compiled_are_equal(make: Callable[..., MovieLens], changes: dict[str, Any]) -> None:
    scenario, options = make(patience=4.0, **changes), {"observe": "full", "history": 2, "totals": True}
    compiled, plain = simulate(scenario, 5, **options), simulate(scenario, 5, **options, jit=False)
    assert np.array_equal(compiled.reset(3), plain.reset(3))
    for step in range(40):
        slates = random_slates(scenario, 5, step)
        for one, other in zip(compiled.step(slates), plain.step(slates), strict=True):
            assert one.tobytes() == other.tobytes()
        for one, other in zip(compiled.state, plain.state, strict=True):
            assert one.tobytes() == other.tobytes()
    assert compiled.state.lives["session"].min() > 0  # sessions ended, and people came back


@pytest.mark.parametrize(
    ("changes", "window"),
    [({}, 10), ({"popularity": 3.0}, 10), ({"num_candidates": 55}, 5), ({"num_candidates": 60, "slate_size": 60}, 0)],
)
def test_candidates_are_distinct_and_not_lately_watched(
    make: Callable[..., MovieLens], changes: dict[str, Any], window: int
) -> None:
    """What was watched is kept here again, independently of the user's ring."""
    scenario = make(patience=0.0, session_steps=5000, **changes)
    simulator, users = simulate(scenario, 30), 30
    simulator.reset(5)
    watched: list[list[int]] = [[] for _ in range(users)]
    for step in range(60):
        ids = simulator.state.items["id"].copy()
        assert all(len(set(row)) == scenario.num_candidates for row in ids.tolist())
        for i in range(users):
            assert not set(watched[i][len(watched[i]) - window :]) & set(ids[i].tolist())
        slates = random_slates(scenario, users, step)
        _, _, answers = simulator.step(slates)
        for i, place in np.argwhere(answers["clicked"] == 1.0):
            watched[i].append(int(ids[i, slates[i, place]]))
    assert min(len(films) for films in watched) > 15
    for i in range(users):
        ring = set(simulator.state.users[i]["watched"][:window].tolist())
        assert ring == set(watched[i][len(watched[i]) - window :])


def test_offers_read_the_user_exactly_where_watched_films_are_kept_away(make: Callable[..., MovieLens]) -> None:
    assert make().offer_reads_user
    scenario = make(not_again=0)
    assert not scenario.offer_reads_user
    one, other = (simulate(scenario, 4, jit=False) for _ in range(2))
    one.reset(1), other.reset(1)
    for step in range(12):
        one.step(random_slates(scenario, 4, step))
        other.step(random_slates(scenario, 4, 100 + step))
        assert np.array_equal(one.state.items["id"], other.state.items["id"])
    assert not np.array_equal(one.state.users["films"], other.state.users["films"])
    assert (one.state.users["watched"] == -1).all()


def test_observations_lie_inside_their_bounds(make: Callable[..., MovieLens]) -> None:
    scenario = make()
    simulator = simulate(scenario, 3)
    simulator.reset(0)
    rows, _, _ = simulator.step(random_slates(scenario, 3, 0))
    space = simulator.layout.space()
    parts = simulator.layout.split(rows)
    assert set(parts) == {"user", "user_id", "candidate_ids", "response"}
    for i in range(3):
        assert space.contains({name: part[i] for name, part in parts.items()})


def test_rewards_are_films_watched_and_only_those_are_rated(make: Callable[..., MovieLens]) -> None:
    scenario = make(rating_sd=3.0)
    simulator = simulate(scenario, 500)
    simulator.reset(0)
    _, results, answers = simulator.step(random_slates(scenario, 500, 0))
    assert np.array_equal(results["reward"], answers["clicked"].sum(axis=1))
    assert answers["clicked"].sum(axis=1).max() == 1.0
    assert ((answers["rating"] > 0) == (answers["clicked"] == 1.0)).all()
    rated = answers["rating"][answers["clicked"] == 1.0]
    assert rated.min() == 0.5
    assert rated.max() == 5.0


def test_ratings_without_noise_are_the_fitted_ones(make: Callable[..., MovieLens]) -> None:
    scenario = make(rating_sd=0.0)
    simulator, fitted = simulate(scenario, 500), scenario.fitted
    simulator.reset(0)
    slates = random_slates(scenario, 500, 0)
    people, items = simulator.state.users["id"].copy(), simulator.state.items["id"].copy()
    _, _, answers = simulator.step(slates)
    i, place = np.nonzero(answers["clicked"])
    user, film = people[i], items[i, slates[i, place]]
    expected = fitted.mean + fitted.film_bias[film] + fitted.user_bias[user]
    expected += (fitted.user_factors[user] * fitted.film_factors[film]).sum(axis=1)
    assert answers["rating"][i, place] == pytest.approx(np.clip(expected, 0.5, 5.0))


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_films_are_offered_by_popularity(make: Callable[..., MovieLens], exponent: float) -> None:
    scenario, users = make(popularity=exponent), 20_000
    simulator = simulate(scenario, users)
    simulator.reset(2)
    seen = np.bincount(simulator.state.items["id"][:, 0], minlength=60)
    weights = scenario.fitted.popularity.astype(float) ** exponent
    expected = users * weights / weights.sum()
    assert ((seen - expected) ** 2 / expected).sum() < 120.0  # chi-square, 59 degrees of freedom: p = 4e-6


# -- who comes -----------------------------------------------------------------------------------------


def test_known_and_new_people_never_mix(make: Callable[..., MovieLens]) -> None:
    groups = {}
    for people in ("known", "new", "all"):
        for seed in (0, 1):
            simulator = simulate(make(people=people), 1000)
            simulator.reset(seed)
            groups[people, seed] = set(simulator.state.users["id"].tolist())
    for people in ("known", "new", "all"):
        assert groups[people, 0] == groups[people, 1]
    assert len(groups["known", 0]) == 32
    assert len(groups["new", 0]) == 8
    assert not groups["known", 0] & groups["new", 0]
    assert groups["known", 0] | groups["new", 0] == groups["all", 0] == set(range(40))


def test_without_carry_somebody_comes_as_fitted(make: Callable[..., MovieLens]) -> None:
    scenario = make(people="new")
    simulator = simulate(scenario, 200)
    simulator.reset(0)
    first = simulator.state.users["id"].copy()
    for step in range(5):
        simulator.step(random_slates(scenario, 200, step))
    simulator.reset(None)
    users, fitted = simulator.state.users, scenario.fitted
    assert set(users["id"].tolist()) == set(first.tolist())
    assert (users["id"] != first).any()
    assert np.array_equal(users["taste"], fitted.user_factors[users["id"]])
    assert np.array_equal(users["profile"], fitted.profiles[users["id"]])
    assert not users["satiation"].any()
    assert (users["watched"] == -1).all()
    assert not users["films"].any()
    assert not users["steps"].any()
    assert (users["patience"] == scenario.patience).all()


def test_with_carry_the_same_person_goes_on(make: Callable[..., MovieLens]) -> None:
    scenario = make(carry=True)
    simulator = simulate(scenario, 200)
    simulator.reset(0)
    for step in range(5):
        simulator.step(random_slates(scenario, 200, step))
    before = simulator.state.users.copy()
    simulator.reset(None)
    users = simulator.state.users
    for name in ("id", "profile", "taste", "satiation", "watched", "films"):
        assert np.array_equal(users[name], before[name]), name
    assert not np.array_equal(users["taste"], scenario.fitted.user_factors[users["id"]])
    assert (users["patience"] == scenario.patience).all()
    assert not users["steps"].any()


# -- what watching does --------------------------------------------------------------------------------


def test_satiation_takes_appeal_from_the_films_genres_and_fades(make: Callable[..., MovieLens]) -> None:
    scenario = make(drift=0.0, satiation=1.0, fade=0.5)
    person, genres = Person(scenario), scenario.fitted.genres
    other = int(np.argmin(genres @ genres[0]))
    assert genres[0] @ genres[other] == 0.0
    fresh, fresh_other = person.appeal(0), person.appeal(other)
    person.step(0)
    assert person.appeal(0) == pytest.approx(fresh - 1.0)
    assert person.appeal(other) == fresh_other
    person.step(None)
    assert person.appeal(0) == pytest.approx(fresh - 0.5)
    for _ in range(60):
        person.step(None)
    assert person.appeal(0) == pytest.approx(fresh)


def test_nobody_sates_where_satiation_is_0(make: Callable[..., MovieLens]) -> None:
    person = Person(make(drift=0.0, satiation=0.0))
    fresh = person.appeal(0)
    person.step(0)
    assert person.appeal(0) == fresh
    assert not person.user.satiation.any()


def test_taste_drifts_toward_the_film(make: Callable[..., MovieLens]) -> None:
    def angle(person: Person, film: int) -> float:
        factors = person.me.film_factors[film]
        return float(factors @ person.user.taste / np.linalg.norm(factors) / np.linalg.norm(person.user.taste))

    person = Person(make(drift=0.1))
    before = angle(person, 3)
    person.step(3)
    once = angle(person, 3)
    assert once > before
    for _ in range(100):
        person.step(3)
    assert angle(person, 3) > 0.999
    assert person.appeal(3) > person.appeal(int(np.argmin(person.me.film_factors @ person.me.film_factors[3])))


def test_taste_stays_where_drift_is_0_or_nothing_is_watched(make: Callable[..., MovieLens]) -> None:
    person, still = Person(make(drift=0.1)), Person(make(drift=0.0))
    before = person.user.taste.copy()
    person.step(None)
    still.step(3)
    assert np.array_equal(person.user.taste, before)
    assert np.array_equal(still.user.taste, before)


def test_good_films_bring_patience_back_and_poor_ones_do_not(make: Callable[..., MovieLens]) -> None:
    scenario = make(dull=3.0, superb=4.0, refill=0.9, no_click_cost=0.25, patience=10.0, drift=0.0)
    person = Person(scenario)
    qualities = np.array([person.quality(film) for film in range(60)])
    person.step(None)
    assert person.user.patience == pytest.approx(9.75)
    person.step(int(qualities.argmin()))
    assert person.user.patience == pytest.approx(8.75)
    person.step(int(qualities.argmax()))
    assert person.user.patience == pytest.approx(8.65)
    between = int(np.abs(qualities - 3.5).argmin())
    person.step(between)
    assert person.user.patience == pytest.approx(8.65 - 1.0 + 0.9 * (qualities[between] - 3.0))
    assert qualities.min() < 3.0 < qualities[between] < 4.0 < qualities.max()


def toward_the_other_side(taste: Any, features: Any, row: int, share: float, scale: float) -> None:
    drift_toward(taste, features, row, share, -scale)


PLANTED: list[tuple[str, Callable[..., Any], Callable[..., None]]] = [
    ("sate", lambda *rest: sate(*rest[:-1], -rest[-1]), test_satiation_takes_appeal_from_the_films_genres_and_fades),
    ("sated", lambda *who: -sated(*who), test_satiation_takes_appeal_from_the_films_genres_and_fades),
    ("drift_toward", toward_the_other_side, test_taste_drifts_toward_the_film),
    ("refilled", lambda *who: -refilled(*who), test_good_films_bring_patience_back_and_poor_ones_do_not),
]


@pytest.mark.parametrize(("name", "wrong", "check"), PLANTED, ids=[name for name, *_ in PLANTED])
def test_a_wrong_sign_is_caught(
    name: str, wrong: Any, check: Any, make: Callable[..., MovieLens], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(make)
    monkeypatch.setattr(film_viewer, name, wrong)
    with pytest.raises(AssertionError):
        check(make)


def test_without_refill_each_film_costs_one(make: Callable[..., MovieLens]) -> None:
    person = Person(make(refill=0.0, patience=10.0))
    for film in range(9):
        person.step(film)
    assert person.user.patience == 1.0
    assert not MovieLens.left(person.me, person.user)
    person.step(9)
    assert MovieLens.left(person.me, person.user)


def test_without_patience_sessions_have_a_fixed_length(make: Callable[..., MovieLens]) -> None:
    scenario = make(patience=0.0, session_steps=7)
    simulator = simulate(scenario, 50)
    simulator.reset(0)
    for step in range(1, 15):
        _, results, _ = simulator.step(random_slates(scenario, 50, step))
        assert (results["terminated"] == (step % 7 == 0)).all()
        assert not results["truncated"].any()


def test_appeal_is_taste_and_fame(make: Callable[..., MovieLens]) -> None:
    neither, taste, fame = Person(make(slope=0.0, fame=0.0)), Person(make(fame=0.0)), Person(make(slope=0.0))
    appeals = np.array([[person.appeal(film) for person in (neither, taste, fame)] for film in range(60)])
    matches = np.array([match(taste.me, taste.user, film) for film in range(60)])
    popularity = taste.scenario.fitted.popularity
    assert not appeals[:, 0].any()
    assert appeals[:, 1] == pytest.approx(6.0 * matches)
    assert (np.argsort(appeals[:, 2], kind="stable") == np.argsort(popularity, kind="stable")).all()


# -- the world as a whole ------------------------------------------------------------------------------


def test_catalogue(make: Callable[..., MovieLens]) -> None:
    scenario = make()
    features = scenario.catalogue()
    assert features.dtype == np.float32
    assert features.shape == (60, 6 + 2)
    assert features.min() >= 0.0
    assert features.max() == 1.0
    assert np.array_equal(features[:, :6], scenario.fitted.genres)
    assert features[:, 7].argmax() == scenario.fitted.popularity.argmax()


def test_without_data_it_says_where_to_get_them() -> None:
    scenario = MovieLens()
    with pytest.raises(
        DataError, match=r"needs data=PATH \(--set data=PATH\).*https://grouplens.org/datasets/movielens/"
    ):
        scenario.user_fields()
    with pytest.raises(DataError):
        scenario.tables()


def test_more_candidates_than_films(make: Callable[..., MovieLens]) -> None:
    with pytest.raises(DataError, match=r"num_candidates must be at most the films there are \(60 have at least"):
        make(num_candidates=61).item_fields()


def test_parameters_that_contradict_each_other(make: Callable[..., MovieLens]) -> None:
    with pytest.raises(InvalidParameter, match=r"MovieLens.dull must be below superb \(3\), not 3.5"):
        make(dull=3.5, superb=3.0)
    with pytest.raises(InvalidParameter, match="one of all, known, new"):
        make(people="old")


def engagement(scenario: MovieLens, policy: Policy, users: int) -> float:
    """Mean engagement of each user's first session under a policy that scores candidates."""
    simulator = simulate(scenario, users, observe="full")
    rows, total, playing = simulator.reset(7), np.zeros(users), np.ones(users, bool)
    while playing.any():
        scores = policy(simulator.layout.split(rows))
        rows, results, _ = simulator.step(np.argsort(-scores, axis=1, kind="stable")[:, : scenario.slate_size].copy())
        ended = playing & (results["terminated"] | results["truncated"])
        total[ended] = results["engagement"][ended]
        playing &= ~ended
    return float(total.mean())


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here")
def test_who_minds_patience_beats_who_shows_what_pleases_now() -> None:
    scenario, rng = MovieLens(data=REAL), np.random.default_rng(0)
    quality = scenario.compiled_self.quality
    random = engagement(scenario, lambda seen: rng.random(seen["appeal"].shape), 300)
    myopic = engagement(scenario, lambda seen: seen["appeal"], 300)
    mixed = engagement(scenario, lambda seen: seen["appeal"] + 10.0 * quality[seen["candidate_ids"].astype(int)], 300)
    assert myopic > 1.2 * random
    assert mixed > 1.2 * myopic


def test_the_summary_tells_how_well_it_fits(make: Callable[..., MovieLens]) -> None:
    world = make()
    assert f"held-out RMSE {world.fitted.rmse:.3f}" in world.summary()
    assert "40 people" in world.summary()
