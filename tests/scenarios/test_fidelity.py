"""The reference figures, from 1,000 to 20,000 sessions each, from one seed that was fixed before looking.

A figure passes when it differs from the reference by less than three times the combined standard error of both.
(With 5,000 sessions of this seed one of the first twelve did not: random slates under proportional choice,
160.96 ± 0.17. 200,000 sessions of four seeds give 160.48 ± 0.03, 1.9 standard errors of the reference 160.19 ± 0.15
away; so the number of sessions was raised for all worlds that are cheap, and the seed kept.)
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from benchmark.fidelity import FIGURES, MANY, SESSIONS, Figure, Measured, as_markdown, measure, write_fidelity
from recsim_env.errors import InvalidParameter

ITEMS = Path(__file__).parents[2].parent / "shared" / "data"  # SARDINE's vectors, where a developer has them
FEW_SESSIONS = 1000  # here, where 1,000 candidates make steps slow; the command `fidelity` plays all
COMPARED = [figure for figure in FIGURES if figure.reference is not None]


def figure_of(world: str, number: int = 0) -> Figure:
    return [figure for figure in FIGURES if figure.world == world][number]


@pytest.mark.parametrize("figure", COMPARED, ids=[f"{f.name} {f.policy.__name__}" for f in COMPARED])
def test_reference_figure(figure: Figure) -> None:
    if figure.items and not (ITEMS / figure.items).is_file():
        pytest.skip(f"SARDINE's item vectors are not there: {figure.items}")
    measured = measure(figure, ITEMS, FEW_SESSIONS if figure.items == MANY else 0)
    assert measured.agrees, f"{measured.ours:.4f} ± {measured.error:.4f}, reference {figure.reference} ± {figure.error}"


@pytest.mark.parametrize(
    ("world", "number", "wrong"),
    [
        ("interest_evolution", 0, {"refill": 0.9 / 3.4 * 1.1}),
        ("interest_evolution", 0, {"no_click_logit": 1.1}),
        ("interest_exploration", 0, {"no_click_logit": 4.95}),
        ("interest_exploration:niche", 0, {"quality_means": "0.2,0.85"}),
        ("long_term_satisfaction", 1, {"memory": 0.9, "sensitivity": 0.02}),
        ("long_term_satisfaction:harvest", 0, {"innovation_sd": 0.2}),
    ],
)
def test_a_world_a_little_off_is_found(world: str, number: int, wrong: dict[str, Any]) -> None:
    figure = figure_of(world, number)
    measured = measure(dataclasses.replace(figure, parameters=figure.parameters | wrong))
    assert not measured.agrees, f"{measured.ours:.4f} ± {measured.error:.4f} passes for {figure.reference}"


def test_every_figure_has_enough_sessions() -> None:
    assert all(5_000 <= figure.sessions <= SESSIONS for figure in FIGURES)


def test_the_distance_counts_both_errors() -> None:
    figure = dataclasses.replace(figure_of("long_term_satisfaction"), reference=10.0, error=0.3)
    assert Measured(figure, 11.5, 0.4).distance == pytest.approx(3.0)
    assert Measured(figure, 11.4, 0.4).agrees
    assert not Measured(figure, 11.6, 0.4).agrees
    assert math.isnan(Measured(dataclasses.replace(figure, reference=None), 1.0, 0.1).distance)


def test_the_table_shows_what_is_compared() -> None:
    figure = dataclasses.replace(figure_of("long_term_satisfaction"), reference=10.0, error=0.3)
    line = as_markdown([Measured(figure, 11.5, 0.4)]).splitlines()[2]
    for part in ("long_term_satisfaction", "10 ± 0.3", "11.50 ± 0.40", "20,000", "+3.0", "random slates"):
        assert part in line


def test_a_folder_without_the_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"--items .* holds no sardine_items.npy"):
        write_fidelity(None, tmp_path)
