"""Recommenders by content: readers tell kinds, pictures and texts rank items that nobody has seen, side information."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.content import ContentRecommender
from agents.content_image import ContentImage, ContentImageConfig
from agents.content_text import Body, ContentText, ContentTextConfig
from agents.side_information import PEOPLE, side_information
from agents.two_tower import TwoTower, TwoTowerConfig
from agents.words import ABSENT, UNKNOWN, commonest, numbered, words_of
from recsim_env.agent import NoLog, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from tests.content import ToldMovieLens, content_of
from tests.made_up import write_movielens

OFTEN: dict[str, Any] = {"reader_epochs": 60, "reader_rate": 5e-3, "reader_batch": 16, "patience": 15}  # few items
READERS = [
    (ContentImage, ContentImageConfig(**OFTEN)),
    (ContentText, ContentTextConfig(words=200, body=Body.CNN, **OFTEN)),
    (ContentText, ContentTextConfig(words=200, **OFTEN)),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ToldMovieLens:
    data = write_movielens(tmp_path_factory.mktemp("movielens"), films=150)
    return ToldMovieLens(data=str(data), factors=4, not_again=10)


def spec_of(world: ToldMovieLens) -> WorldSpec:
    return WorldSpec.of(RecVectorEnv(world, 1, Options(history=5)))


@pytest.mark.parametrize(("kind", "config"), READERS)
def test_a_reader_tells_kinds_of_items_that_it_was_not_fitted_to(
    kind: type[ContentRecommender], config: ContentTextConfig, world: ToldMovieLens
) -> None:
    agent = kind(config, spec_of(world))
    agent.read(NoLog())
    assert agent.kind_accuracy >= 0.9
    assert agent.vectors.shape == (150, config.vector) and agent.vectors.std() > 0


def test_a_reader_of_shuffled_texts_tells_nothing(world: ToldMovieLens) -> None:
    """What it tells comes from the text: with each text another item's, it is near the majority."""
    content = content_of(world.fitted.genres, world.fitted.genre_names, world.fitted.titles)
    order = np.random.default_rng(0).permutation(len(content.texts))
    shuffled = replace(content, texts=tuple(content.texts[k] for k in order))
    agent = ContentText(ContentTextConfig(words=200, seed=1), replace(spec_of(world), content=lambda: shuffled))
    agent.read(NoLog())
    kinds = content.main_kinds
    assert agent.kind_accuracy < np.bincount(kinds).max() / len(kinds) + 0.2


def test_items_of_one_text_are_ranked_alike_whether_seen_before_or_not(world: ToldMovieLens) -> None:
    """No id is looked at: two films with the same plot have the same score, and those of a folder go on so."""
    envs = RecVectorEnv(world, 16, Options(history=5))
    envs.reset(seed=0)
    agent = ContentText(ContentTextConfig(words=200, history=5), WorldSpec.of(envs))
    agent.train(InteractionBudget(envs, 1600), 1600, NoLog())
    texts: dict[str, list[int]] = {}
    for item, text in enumerate(agent.content.texts):
        texts.setdefault(text, []).append(item)
    twins = next(items for items in texts.values() if len(items) > 1)
    observation, _ = envs.reset(seed=3)
    context = agent.context(observation)
    items = np.tile(twins[:2], (16, 1))
    scores = agent.score(context, items, np.zeros((16, 2, 0), np.float32))
    np.testing.assert_allclose(scores[:, 0], scores[:, 1], rtol=1e-5)
    assert np.ptp(agent.scores(observation), axis=1).min() > 0


def test_what_was_read_is_saved(world: ToldMovieLens, tmp_path: Path) -> None:
    agent = ContentImage(ContentImageConfig(reader_epochs=2), spec_of(world))
    agent.read(NoLog())
    agent.save(tmp_path)
    loaded = ContentImage.load(tmp_path, spec_of(world))
    assert isinstance(loaded, ContentImage) and np.array_equal(loaded.vectors, agent.vectors)
    assert loaded.kind_accuracy == agent.kind_accuracy


def test_words_are_numbered_by_how_many_texts_hold_them() -> None:
    texts = ["The cat, the hat.", "A cat's HAT 9", "the end"]
    assert words_of(texts[1]) == ["a", "cat's", "hat", "9"]
    numbers = commonest(texts, 10)
    assert numbers == {"hat": UNKNOWN + 1, "the": UNKNOWN + 2}
    assert numbered(texts, numbers, 3).tolist() == [[3, 1, 3], [1, 1, 2], [3, 1, ABSENT]]


def test_side_information_holds_texts_pictures_people_and_years(world: ToldMovieLens) -> None:
    content = world.item_content()
    side = side_information(content)
    width = content.vectors.shape[1]
    assert side.shape == (150, width + 48 + PEOPLE + 2) and side.dtype == np.float32
    assert np.array_equal(side[:, :width], content.vectors)
    shades = content.pictures()[:, 0, 0, 0] / 255
    np.testing.assert_allclose(side[:, width : width + 48], np.tile(shades[:, None], (1, 48)), atol=1e-6)
    assert (side[:, width + 48 : -2].sum(axis=1) == 1).all()
    assert np.array_equal(side[0, width + 48 : -2], side[7, width + 48 : -2])  # the same person
    np.testing.assert_allclose(side[:, -2], (content.years - 1900) / 100, atol=1e-6)


def test_two_towers_see_content_where_there_is_any(world: ToldMovieLens) -> None:
    spec = spec_of(world)
    without = TwoTower(TwoTowerConfig(content=False), spec)
    assert (
        TwoTower(TwoTowerConfig(), spec).item_width
        == without.item_width + side_information(world.item_content()).shape[1]
    )
    assert TwoTower(TwoTowerConfig(), replace(spec, content=lambda: None)).item_width == without.item_width
