"""The conditional logit against closed forms and numerical derivatives, and MovieLens's features against its verbs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from recsim_env.errors import DataError
from recsim_env.fitting.choice import Weights, chosen_places, fit_choice, logit_sums, logits_of, maximise
from recsim_env.fitting.sessions import Sessions, first_sessions
from scenarios.movielens import MovieLens
from tests.made_up import write_movielens
from tests.recsim_env.fitting.snacks import Snacks, logged

STEPS, PLACES = 4000, 3


def choices(weights: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, S + 1, P), of which the last weighs nothing, and what was chosen."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(STEPS, PLACES + 1, len(weights)))
    features[:, -1, :-1], features[:, :-1, -1], features[:, -1, -1] = 0.0, 0.0, 1.0
    chosen = (features @ weights + rng.gumbel(size=(STEPS, PLACES + 1))).argmax(axis=1)
    return features, np.where(chosen == PLACES, -1, chosen)


def estimated(features: np.ndarray, chosen: np.ndarray) -> Weights:
    count = features.shape[2]
    wide = np.full(count, np.inf)
    return maximise(lambda v: (features, features @ v), np.zeros(count), -wide, wide, chosen, np.arange(STEPS) // 10)


def likelihood(features: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    scores, information = np.zeros((STEPS // 10, len(values))), np.zeros((len(values), len(values)))
    total = logit_sums(features, features @ values, chosen, np.arange(STEPS) // 10, scores, information)
    return total, scores.sum(axis=0), information


def test_gradient_and_information_are_the_derivatives_of_the_likelihood() -> None:
    features, chosen = choices([1.0, -0.5, 0.3])
    values, step = np.array([0.6, -0.2, 0.1]), 1e-5
    _, gradient, information = likelihood(features, values, chosen)
    for p, way in enumerate(step * np.eye(3)):
        up, down = (likelihood(features, values + sign * way, chosen) for sign in (1, -1))
        assert np.isclose((up[0] - down[0]) / (2 * step), gradient[p], rtol=1e-5)
        assert np.allclose((up[1] - down[1]) / (2 * step), -information[p], rtol=1e-5)


def test_the_weight_of_nothing_alone_is_the_log_of_how_often_it_is_chosen() -> None:
    features, chosen = choices([0.7])
    found = estimated(features, chosen)
    share = (chosen < 0).mean()
    assert np.isclose(found.values[0], np.log(PLACES * share / (1 - share)))
    assert np.isclose(found.information[0, 0], STEPS * share * (1 - share))


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_found(seed: int) -> None:
    truth = np.array([1.0, -0.5, 0.3])
    found = estimated(*choices(truth.tolist(), seed))
    errors = np.sqrt(np.diag(found.covariance))
    assert (np.abs(found.values - truth) < 4 * errors).all()
    assert (errors < 0.06).all()
    swapped = choices((-truth).tolist(), seed)[1]  # break the data: others' choices
    assert (np.abs(estimated(choices(truth.tolist(), seed)[0], swapped).values - truth) > 4 * errors).any()


def test_standard_errors_count_what_a_sessions_steps_have_in_common() -> None:
    features, chosen = choices([1.0, 0.3])
    one = estimated(features, chosen)
    again = np.tile(features[::10], (1, 10, 1)).reshape(features.shape), np.repeat(chosen[::10], 10)
    ten_alike = estimated(*again)  # each session is one choice, ten times
    ratio = np.sqrt(np.diag(ten_alike.covariance) / np.diag(one.covariance))
    assert (ratio > 2.5).all() and (ratio < 4.0).all()  # about the root of ten


def test_what_the_data_do_not_tell_is_said() -> None:
    features, chosen = choices([1.0, 0.3])
    found = estimated(np.concatenate([features, np.zeros((STEPS, PLACES + 1, 1))], axis=2), chosen)
    assert found.told.tolist() == [True, True, False]
    twice = estimated(np.concatenate([features, features[:, :, :1]], axis=2), chosen)
    assert twice.told.tolist() == [False, True, False]


def test_several_clicks_on_a_slate_are_refused() -> None:
    with pytest.raises(DataError, match="at most one click"):
        chosen_places(logged(Snacks(liked=0.9, other=0.9), 50, 2, jit=False))


# -- MovieLens -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> MovieLens:
    folder = write_movielens(tmp_path_factory.mktemp("movielens"))
    return MovieLens(data=str(folder), factors=4, not_again=10, patience=4.0, drift=0.1)


def replays(world: MovieLens, sessions: Sessions) -> bool:
    """Whether features replayed from a log weigh up to the logits that the users had."""
    logits = logits_of(world, world.choice_features(sessions.log))
    true = np.take_along_axis(sessions.log.observations["appeal"], sessions.log.slates, axis=1)
    return np.allclose(logits[:, :-1], true, atol=1e-4) and np.allclose(logits[:, -1], world.no_click_logit)


def test_replayed_logits_are_those_that_the_users_had(world: MovieLens) -> None:
    sessions = first_sessions(logged(world, 300, 30, observe="full"), world)
    assert replays(world, sessions)
    for change in ({"fade": 0.2}, {"drift": 0.0}, {"satiation": 0.6}, {"slope": 5.0}):
        assert not replays(dataclasses.replace(world, **change), sessions)  # type: ignore[arg-type]


def test_all_choice_parameters_are_found_together(world: MovieLens) -> None:
    truth = {"slope": 3.0, "fame": 1.0, "no_click_logit": 0.7, "satiation": 0.9, "fade": 0.3}
    lived = dataclasses.replace(world, **truth)  # type: ignore[arg-type]
    sessions = first_sessions(logged(lived, 4000, 12), world)
    found = fit_choice(world, sessions, list(truth))
    errors = np.sqrt(np.diag(found.covariance))
    assert (np.abs(found.values - list(truth.values())) < 4 * errors).all()
    assert (errors < [0.3, 0.1, 0.1, 0.1, 0.06]).all()
    one = fit_choice(dataclasses.replace(world, **{**truth, "fame": 0.5}), sessions, ["fame"])  # type: ignore[arg-type]
    assert abs(one.values[0] - 1.0) < 4 * np.sqrt(one.covariance[0, 0])
