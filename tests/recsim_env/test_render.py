"""Pictures of one user: films, windows, curves of the session so far, and what was on the slate."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import imageio.v3 as imageio
import numpy as np
import pytest
from gymnasium.wrappers import HumanRendering, RecordVideo

from recsim_env import Field, RecSimError, Scenario, param
from recsim_env.film import PANELS, Camera, on_panels
from recsim_env.film_parts import TILES, Panel, Pen
from recsim_env.registration import make_env, make_vector_env
from recsim_env.render import CAMERAS
from tests.worlds import TinyWorld, data_free_ids, data_free_worlds

SHAPE = (540, 960, 3)
STEPS = 5


@dataclass(frozen=True)
class Stamped(Scenario):
    """Sessions of 5 slates; an item carries the step at which it is on offer, and the place where it stands."""

    num_candidates: int = param(5, "items on offer at a step", low=1, high=2000)
    slate_size: int = param(2, "items shown at a step", low=1, high=100)

    def user_fields(self) -> Sequence[Field]:
        return [Field("age", integer=True, unit="steps"), Field("growth", about="grows by 1 a slate")]

    def item_fields(self) -> Sequence[Field]:
        return [Field("stamp", integer=True, low=0, high=10**6, seen=True), Field("secret")]

    def response_fields(self) -> Sequence[Field]:
        return [Field("clicked", low=0, high=1, seen=True), Field("stars", low=0, high=5, seen=True)]

    def arrive(self, user: Any, rng: Any) -> None:
        user.growth = rng.uniform()

    def offer(self, user: Any, items: Any, rng: Any) -> None:
        for position in range(len(items)):
            items[position].stamp = 10000 * (user.age + 1) + position

    def respond(self, user: Any, items: Any, slate: Any, responses: Any, scratch: Any, rng: Any) -> None:
        responses[0].clicked = 1.0
        responses[0].stars = 4.5

    def evolve(self, user: Any, items: Any, slate: Any, responses: Any, rng: Any) -> None:
        user.age += 1
        user.growth += 1.0

    def left(self, user: Any) -> bool:
        return user.age >= STEPS


def any_slate(env: Any) -> Any:
    return np.arange(env.unwrapped.scenario.slate_size) if env.unwrapped.scenario.slate_size > 1 else 0


def play(env: Any, seed: int = 0) -> list[np.ndarray]:
    """A session's pictures, one after the reset and one after each step."""
    env.reset(seed=seed)
    frames, over = [env.render()], False
    while not over:
        _, _, terminated, truncated, _ = env.step(any_slate(env))
        frames.append(env.render())
        over = terminated or truncated
    return frames


def camera_of(env: Any, i: int = 0) -> Camera:
    return CAMERAS[env.unwrapped.simulator][i]


# -- what Gymnasium does with pictures -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_whole_session_is_recorded_as_a_film_whose_pictures_differ(tmp_path: Path) -> None:
    env = RecordVideo(
        make_env(Stamped(), render_mode="rgb_array", jit=False), str(tmp_path / "films"), disable_logger=True
    )
    env.reset(seed=0)
    over = False
    while not over:
        over = env.step([0, 1])[2]
    env.close()
    (film,) = (tmp_path / "films").glob("*.mp4")
    frames = list(imageio.imiter(film, plugin="FFMPEG"))
    assert len(frames) >= STEPS + 1
    assert frames[0].shape[1] == SHAPE[1]
    differing = [np.abs(a.astype(int) - b).max() > 50 for a, b in pairwise(frames)]
    assert sum(differing) == STEPS


def test_a_window_shows_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    name = next(name for name in data_free_ids() if "LongTerm" in name)
    env = HumanRendering(gymnasium.make(name, render_mode="rgb_array", jit=False))
    env.reset(seed=0)
    env.step(any_slate(env))
    import pygame

    window = pygame.surfarray.array3d(env.window).swapaxes(0, 1)
    assert np.array_equal(window, env.env.render())
    env.close()


@pytest.mark.parametrize("world", data_free_worlds())
def test_every_world_is_drawn_and_changes_with_a_slate(world: str) -> None:
    env = make_env(world, render_mode="rgb_array", jit=False)
    env.reset(seed=0)
    frames = [env.render()]
    env.step(any_slate(env))
    frames.append(env.render())
    for frame in frames:
        assert (frame.shape, frame.dtype) == (SHAPE, np.uint8)
    assert (frames[0] != frames[1]).any(axis=2).mean() > 0.002
    assert len(camera_of(env).panels) >= 2


# -- the session so far --------------------------------------------------------------------------------------


def check_trail(env: Any) -> None:
    """The curves hold each filmed step's state and engagement, once, also where a picture is asked for twice."""
    env.reset(seed=3)
    env.render()
    start, engagement = env.simulator.state.users[0]["growth"].item(), 0.0
    for step in range(1, STEPS + 1):
        engagement += env.step([0, 1])[1]
        for _ in range(2):
            env.render()
        camera = camera_of(env)
        assert [s for s, _, _ in camera.trail] == list(range(step + 1))
        assert np.allclose([user["growth"] for _, user, _ in camera.trail], start + np.arange(step + 1))
        assert camera.trail[-1][2] == engagement
        line = camera.session.moving[0].get_xydata()
        assert np.array_equal(line, np.c_[np.arange(step + 1), np.arange(step + 1)])


def test_curves_hold_the_session_as_it_was_filmed() -> None:
    env = make_env(Stamped(), render_mode="rgb_array", jit=False)
    check_trail(env)
    check_trail(env)  # the next session's curves begin anew


def forgetful(self: Camera, key: int | None) -> None:
    """A camera that goes on with the last session's curves."""
    self.key, self.trail = key, getattr(self, "trail", [])
    self.offers = {}


def test_the_check_catches_a_trail_of_two_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Camera, "_forget", forgetful)
    env = make_env(Stamped(), render_mode="rgb_array", jit=False)
    check_trail(env)
    with pytest.raises(AssertionError):
        check_trail(env)


def test_another_user_of_the_same_step_begins_anew() -> None:
    env = make_env(Stamped(), render_mode="rgb_array", jit=False)
    for seed in (0, 1):  # nobody looks between the two but at step 2
        env.reset(seed=seed)
        env.step([0, 1])
        env.step([0, 1])
        env.render()
        assert [s for s, _, _ in camera_of(env).trail] == [2]


def test_a_long_session_widens_the_axis_of_steps() -> None:
    env = make_env("interest_evolution", render_mode="rgb_array", jit=False)
    play(env)
    camera = camera_of(env)
    assert camera.trail[-1][0] < camera.steps == 80
    for panel in camera.panels:
        if not panel.is_list:
            assert panel.axis.get_xlim()[1] >= 80


def check_room(values: list[float]) -> None:
    """An axis without bounds always holds what it shows, and 0."""
    from matplotlib.figure import Figure

    panel = Panel(Figure().subplots(), Field("free"))
    for step in range(1, len(values) + 1):
        panel.show([(s, np.array(v)) for s, v in enumerate(values[:step])])
        bottom, top = panel.axis.get_ylim()
        assert bottom <= min(0.0, *values[:step]) and max(0.0, *values[:step]) <= top


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0, -3.0, 1e6], [-2.0, -8.0, 0.5], [1e-9, 3e-9]])
def test_an_axis_without_bounds_grows_with_what_it_shows(values: list[float]) -> None:
    check_room(values)


def test_the_check_catches_an_axis_that_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Panel, "_make_room", lambda self, values: False)
    with pytest.raises(AssertionError):
        check_room([5.0, -3.0, 1e6])


# -- the slate -----------------------------------------------------------------------------------------------


def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that the texts of the next pictures go to."""
    texts: list[str] = []
    write = Pen.write

    def keep(self: Pen, x: float, y: float, text: str, *rest: Any) -> None:
        texts.append(text)
        write(self, x, y, text, *rest)

    monkeypatch.setattr(Pen, "write", keep)
    return texts


def check_slates(texts: list[str]) -> None:
    """The tiles tell of the items that were shown, not of those on offer now, and how they were answered."""
    env = make_env(Stamped(), render_mode="rgb_array", jit=False)
    env.reset(seed=0)
    env.render()
    assert "No slate shown yet" in texts
    for step in range(1, STEPS + 1):
        env.step([3, 0])
        for _ in range(2):
            texts.clear()
            env.render()
            tiles = texts[texts.index("candidate 3") :]
            stamps = [f"stamp {10000 * step + position}" for position in (3, 0)]
            assert tiles == ["candidate 3", stamps[0], "clicked", "stars 4.5", "candidate 0", stamps[1], "not clicked"]


def test_tiles_tell_what_was_shown_and_how_it_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    check_slates(written(monkeypatch))


def test_the_check_catches_items_of_the_wrong_step(monkeypatch: pytest.MonkeyPatch) -> None:
    head = Camera._head
    monkeypatch.setattr(
        Camera, "_head", lambda self, position, offered: head(self, position, [*self.offers.values()][-1])
    )
    with pytest.raises(AssertionError):
        check_slates(written(monkeypatch))


def test_what_nobody_filmed_is_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = written(monkeypatch)
    env = make_env(Stamped(), render_mode="rgb_array", jit=False)
    env.reset(seed=0)
    env.step([3, 0])
    env.render()
    assert "candidate 3" in texts
    assert not [text for text in texts if "stamp" in text]


def test_no_text_is_wider_than_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    pen, drawn = Pen(), []
    pen.take(np.zeros((20, 400, 4), np.uint8))
    monkeypatch.setattr(pen.draw, "text", lambda place, text, **rest: drawn.append(text))
    for width in (10, 60, 300):
        pen.write(0, 10, "a_very_long_name_of_a_field", "tile", width)
    assert drawn[2] == "a_very_long_name_of_a_field"
    assert drawn[1].endswith("…") and pen.fonts["tile"].getlength(drawn[1]) <= 60
    assert drawn[0] == "…"


# -- awkward worlds ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crowded(Stamped):
    """A thousand numbers, more fields than panels, and a slate of more places than tiles."""

    num_candidates: int = param(1000, "items on offer at a step", low=1, high=2000)
    slate_size: int = param(TILES + 8, "items shown at a step", low=1, high=100)

    def user_fields(self) -> Sequence[Field]:
        many = [Field(f"free_{k}", unit="euros") for k in range(9)]
        return [
            Field("id", integer=True),
            Field("long", shape=1000),
            Field("one", shape=1),
            *super().user_fields(),
            *many,
        ]


def test_a_crowded_world_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = written(monkeypatch)
    env = make_env(Crowded(), render_mode="rgb_array", jit=False)
    frames = play(env)
    assert all(frame.shape == SHAPE for frame in frames)
    assert len(camera_of(env).state) == PANELS
    assert any(f"{TILES + 8} places, 1 clicked (the first {TILES} are drawn)" in text for text in texts)
    assert sum(text.startswith("candidate") for text in texts) == STEPS * TILES


def test_panels_are_for_what_moves_and_counters_are_text() -> None:
    fields = [
        Field("id", integer=True),
        Field("count", integer=True),
        Field("ring", shape=5, integer=True),
        Field("mood", categories=3),
        Field("waits", shape=5, integer=True, low=0, high=9),
        Field("level"),
    ]
    assert [f.name for f in on_panels(fields)] == ["level", "mood", "waits"]
    assert [f.name for f in on_panels(fields[:2])] == ["count"]
    assert on_panels([]) == []


def test_a_user_without_fields_is_drawn() -> None:
    class Nobody(TinyWorld):
        def user_fields(self) -> Sequence[Field]:
            return []

        arrive = left = lambda self, *rest: False

        def evolve(self, user: Any, items: Any, slate: Any, responses: Any, rng: Any) -> None:
            pass

    env = make_env(Nobody(), render_mode="rgb_array", jit=False)
    env.reset(seed=0)
    env.step(0)
    assert env.render().shape == SHAPE


# -- what it costs -------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_a_world_nobody_looks_at_and_cameras_go_with_their_world() -> None:
    blind, seen = make_env(Stamped(), jit=False), make_env(Stamped(), render_mode="rgb_array", jit=False)
    for env in (blind, seen):
        env.reset(seed=0)
    seen.render()
    assert blind.simulator not in CAMERAS and seen.simulator in CAMERAS
    before = len(CAMERAS)
    del seen, env
    gc.collect()
    assert len(CAMERAS) < before


def test_each_user_of_a_vector_has_a_camera() -> None:
    envs = make_vector_env(Stamped(), 12, render_mode="rgb_array", jit=False)
    envs.reset(seed=0)
    frames = envs.render()
    assert [s for s, _, _ in camera_of(envs, 8).trail] == [0]
    for _ in range(STEPS + 1):
        envs.step(np.tile([0, 1], (12, 1)))
    envs.render()
    assert len(frames) == 9 and len({frame.tobytes() for frame in frames}) == 9
    assert [s for s, _, _ in camera_of(envs, 8).trail] == [1]  # of the next session


def test_without_matplotlib_a_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    env = make_env(Stamped(), render_mode="rgb_array", jit=False)
    env.reset(seed=0)
    with pytest.raises(RecSimError, match=r'needs matplotlib: pip install "recsim-env\[render\]"'):
        env.render()


def test_a_step_does_not_know_of_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Callable[..., None]:
        raise AssertionError("a camera was made")

    monkeypatch.setattr(Camera, "__init__", refuse)
    env = make_env(Stamped(), render_mode="rgb_array", jit=False)
    env.reset(seed=0)
    env.step([0, 1])
