"""Statistics over several worlds, against published formulas on stored vectors and figures by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark import listing
from benchmark.aggregates import bootstrap_interval, interquartile_mean, probability_of_improvement
from benchmark.rankings import print_across
from benchmark.scores import NoScore, normalised, ratio, score_matrix

X = np.array([[0.10, 0.92, 1.31], [0.35, 0.88, 0.97], [0.20, 1.02, 1.11], [0.35, 0.75, 1.40], [0.05, 0.99, 1.08]])
Y = np.array([[0.30, 0.70, 1.31], [0.35, 0.81, 1.00], [0.25, 0.90, 0.90]])


def test_figures_are_those_of_rliable() -> None:
    """Printed by rliable 1.2.0 for X and Y."""
    assert interquartile_mean(X) == pytest.approx(0.8122222222)
    assert interquartile_mean(Y) == pytest.approx(0.732)
    assert probability_of_improvement(X, Y) == pytest.approx(0.6111111111)


def test_who_is_compared_with_itself_improves_half_of_the_time() -> None:
    assert probability_of_improvement(X, X) == 0.5
    assert probability_of_improvement(X + 10.0, X) == 1.0


def test_improvement_is_mann_and_whitneys_u() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(7, 1)), rng.normal(0.5, size=(9, 1))
    assert probability_of_improvement(one, two) == pytest.approx(
        stats.mannwhitneyu(one[:, 0], two[:, 0]).statistic / 63.0
    )


def test_the_bootstrap_is_stratified() -> None:
    """Worlds far apart, seeds close together: what is drawn within worlds hardly moves the mean."""
    scores = np.array([[0.0, 100.0], [0.1, 100.1], [0.2, 100.2]])
    low, high = bootstrap_interval(lambda s: float(s.mean()), [scores], np.random.default_rng(0))
    assert 50.0 <= low < 50.1 < high <= 50.2


def table(means: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        (agent, seed, user, mean + user)
        for agent, of in means.items()
        for seed, mean in enumerate(of)
        for user in (-1, 1)
    ]
    return pd.DataFrame(rows, columns=["agent", "seed", "user", "engagement"])


WORLD = {
    "random": [10.0, 11.0, 9.0],
    "myopic_oracle": [20.0, 21.0, 19.0],
    "patient_oracle": [30.0, 32.0, 28.0],
    "learner": [25.0, 26.5, 23.5],
}


def test_scores_lie_between_random_and_the_reference() -> None:
    scores = normalised(table(WORLD)).set_index("agent")
    assert scores["score"].to_dict() == {"random": 0.0, "myopic_oracle": 0.5, "patient_oracle": 1.0, "learner": 0.75}
    for name in ("random", "patient_oracle"):
        assert scores.loc[name, ["score_low", "score_high"]].tolist() == scores.loc[name, ["score"] * 2].tolist()


def test_the_references_error_enters_a_scores_interval() -> None:
    """An agent that is the same in every seed is uncertain by the references alone."""
    steady = normalised(table({**WORLD, "learner": [25.0, 25.0, 25.0]})).set_index("agent").loc["learner"]
    gain, span = np.array([15.0, 14.0, 16.0]), np.array([20.0, 21.0, 19.0])
    half = stats.t.ppf(0.975, 2) * stats.sem((gain - 0.75 * span) / 20.0)
    assert (steady["score_low"], steady["score_high"]) == pytest.approx((0.75 - half, 0.75 + half))


def test_the_interval_of_a_ratio_covers() -> None:
    rng, hits = np.random.default_rng(3), 0
    for _ in range(4000):
        agent, floor, top = np.array([[30.0], [10.0], [50.0]]) + rng.normal(0, 2, 5) + rng.normal(0, 1, (3, 5))
        _, low, high = ratio(agent - floor, top - floor)
        hits += low <= 0.5 <= high
    assert 0.94 < hits / 4000 < 0.96


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"patient_oracle": [20.0, 22.0, 21.0]}, "does not lie above that of myopic_oracle"),
        ({"myopic_oracle": None}, "missing: myopic_oracle"),
    ],
)
def test_without_a_reference_above_the_others_there_are_no_scores(changed: dict[str, list[float]], words: str) -> None:
    means = {name: of for name, of in {**WORLD, **changed}.items() if of is not None}
    with pytest.raises(NoScore, match=words):
        normalised(table(means))
    with pytest.raises(NoScore, match=f"world: .*{words}"):
        score_matrix({"world": table(means)})


def test_scores_of_worlds_stand_side_by_side() -> None:
    other = {**WORLD, "learner": [30.0, 31.0, 29.0, 40.0]}
    found = score_matrix({"one": table(WORLD), "two": table(other)})
    assert found["learner"] == pytest.approx(np.array([[0.75, 1.0], [0.825, 1.05], [0.675, 0.95]]))


def test_agents_are_ranked_over_all_worlds(capsys: pytest.CaptureFixture[str]) -> None:
    worlds = [table(WORLD).assign(scenario=name, people="all") for name in ("one", "two")]
    print_across(pd.concat(worlds))
    shown = capsys.readouterr().out
    assert "Over 2 worlds" in shown
    assert re.search(r"patient_oracle +1.00 \(.*\) +50 %", shown) and re.search(r"random +0.00 \(.*\) +0 %", shown)
    print_across(pd.concat(worlds).query("agent != 'random'"))
    assert "Nothing over all worlds: one: scores need" in " ".join(capsys.readouterr().out.split())


def test_a_long_label_cuts_no_figure_off(capsys: pytest.CaptureFixture[str]) -> None:
    label, figures = (
        "pqn@users=512@batch=128@epochs=1@trace=0.65",
        ("278.6 (275.3 to 281.9)", "+143.0 (+139.1 to +146.9)"),
    )
    made = listing.table(
        "", "rank", "agent", "above", "engagement", "over random, same users", "length", "clicks a step"
    )
    made.add_row("1", label, "37", *figures, "203.0", "0.348")
    listing.terminal().print(made)
    told = capsys.readouterr().out
    assert all(figure in told for figure in (*figures, "203.0", "0.348"))
    assert "".join(told.split()).count("0.65") == 1 and "pqn@users=512" in told
