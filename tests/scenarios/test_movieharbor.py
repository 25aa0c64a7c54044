"""MovieHarbor: a catalogue joined with ratings, what is retrieved for whom, and everything that MovieLens has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsim_env.checks import check_scenario
from recsim_env.errors import DataError
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator
from scenarios.movieharbor import MovieHarbor
from scenarios.movieharbor_data import AGES, REGIONS, Regression, joined
from tests.made_up import write_movielens
from tests.movieharbor.made_up import write_harbour

pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'recsim-env[movieharbor]'")
pytest.importorskip("tiktoken", reason="tiktoken is not installed: pip install 'recsim-env[movieharbor]'")
from movieharbor.catalogue import Catalogue

FILMS, RATED = 80, 60
Make = Callable[..., MovieHarbor]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Worlds of 80 films, the first 60 of them rated."""
    made = write_harbour(tmp_path_factory.mktemp("harbour"), FILMS, RATED)
    return lambda **changes: MovieHarbor(**{**made, "factors": 4, "not_again": 10, **changes})


@pytest.mark.parametrize("data", [True, False])
def test_keeps_the_contract(make: Make, data: bool) -> None:
    check_scenario(make() if data else make(data=""))


def test_films_with_ratings_have_the_factors_that_were_fitted(make: Make) -> None:
    harbour = make().harbour
    assert harbour.rated.sum() == RATED and harbour.rated[:RATED].all()
    assert harbour.fitted.film_factors.shape == (FILMS, 4) and len(harbour.fitted.popularity) == FILMS
    assert (harbour.fitted.popularity[RATED:] <= 5).all() and (harbour.fitted.popularity >= 1).all()
    assert harbour.fitted.profiles.shape == (len(harbour.fitted.user_ids), len(harbour.fitted.genre_names))
    assert np.isfinite(harbour.explained) and "20 films without enough ratings" in make().summary()


def test_ratings_are_joined_by_the_imdb_number(make: Make) -> None:
    world = make()
    films = Catalogue(Path(world.films)).films
    ratings = joined(Path(world.data), films)
    original = pd.read_csv(Path(world.data) / "ratings.csv")
    assert len(ratings) == len(original)
    assert (films["imdb"].to_numpy()[ratings["movieId"]] == original["movieId"].to_numpy() // 10).all()


def test_a_regression_finds_a_line_and_knows_what_it_does_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 5))
    y = x @ rng.normal(size=(5, 2)) + 3.0
    assert Regression.explained(x, y) > 0.99
    assert abs(Regression.explained(x, rng.normal(size=(3000, 2)))) < 0.02
    assert np.allclose(Regression(x, y)(x), y, atol=0.1)


def simulate(world: Scenario, users: int) -> Simulator:
    return Simulator(world, users, Options(threads=1, history=5), autoreset=True)


def offered(world: MovieHarbor, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(users, C) ids on offer after some steps of the first slates, and (users, ring) ids that were watched."""
    sim = simulate(world, 400)
    sim.reset(seed=1)
    slates = np.tile(np.arange(world.slate_size), (400, 1))
    for _ in range(steps):
        sim.step(slates)
    return sim.state.items["id"].reshape(400, -1), sim.state.users["watched"]


def test_candidates_are_near_to_what_was_watched(make: Make) -> None:
    world = make(num_candidates=6, near=1.0, explore=0.0, patience=0.0, slope=0.0, no_click_logit=-9.0)
    ids, watched = offered(world, 5)
    near = world.harbour.nearest[:, : FILMS // 4]  # the nearest quarter; the nearer, the likelier
    share = np.mean([[i in near[w[w >= 0]] for i in row] for row, w in zip(ids, watched, strict=True)])
    away = make(num_candidates=6, near=0.0, explore=1.0, patience=0.0, slope=0.0, no_click_logit=-9.0)
    other, seen = offered(away, 5)
    chance = np.mean([[i in near[w[w >= 0]] for i in row] for row, w in zip(other, seen, strict=True)])
    assert share > chance + 0.05


def test_the_whole_catalogue_can_be_on_offer(make: Make) -> None:
    ids, _ = offered(make(num_candidates=FILMS), 2)
    assert (ids == np.arange(FILMS)).all()
    with pytest.raises(DataError, match="catalogue holds 80\\), not 81"):
        _ = make(num_candidates=FILMS + 1).fitted


def test_ages_and_regions_are_seen(make: Make) -> None:
    world = make(data="")
    harbour = world.harbour
    assert np.bincount(harbour.ages, minlength=AGES).min() > 100 and len(harbour.ages) == 1000
    assert set(harbour.regions) <= set(range(REGIONS))
    sim = simulate(world, 50)
    sim.reset(seed=0)
    users = sim.state.users
    assert (users["age"] == harbour.ages[users["id"]]).all()
    assert (users["region"] == harbour.regions[users["id"]]).all()


def test_content_is_by_place_in_the_catalogue(make: Make) -> None:
    world = make()
    content = world.item_content()
    assert content.titles[2] == "Film 3 (1983)" and "Number 3 loses a hat" in content.texts[2]
    assert [content.kinds[k] for k in content.kinds_of[1]] == ["Drama", "Crime"]
    assert content.pictures().shape == (FILMS, 32, 32, 3) and content.vectors.shape[0] == FILMS
    assert content.main_kinds[1] == content.kinds.index("Drama")
    assert list(world.item_names()) == list(content.titles)


def test_what_is_missing_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no catalogue; make it: recsim-env movieharbor build"):
        _ = make(films=str(tmp_path)).fitted
    with pytest.raises(DataError, match="does not exist"):
        _ = make(data=str(tmp_path / "none.zip")).fitted
    with pytest.raises(DataError, match=r"links\.csv is not there"):
        _ = make(data=str(write_movielens(tmp_path / "unlinked"))).fitted
