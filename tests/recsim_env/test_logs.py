"""Logged interactions: what was on offer, how likely it was to be shown, and files that are whole or nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from agents.random_slates import RandomSlates
from recsim_env import RecVectorEnv, make_vector_env
from recsim_env.agent import AgentConfig, WorldSpec
from recsim_env.array_files import SHAPES
from recsim_env.errors import DataError
from recsim_env.files import whole
from recsim_env.logs import Interactions, collect, joined_logs, write_logs
from tests.recsim_env.test_env import Shelf
from tests.worlds import data_free_worlds


def shelf(n: int, forbidden: int = 0, steps: int = 4, **options: Any) -> RecVectorEnv:
    return make_vector_env(Shelf(forbidden=forbidden, steps=steps), n, jit=False, **options)


def random_policy(envs: RecVectorEnv) -> RandomSlates:
    return RandomSlates(AgentConfig(), WorldSpec.of(envs))


def logged(envs: RecVectorEnv, rounds: int, seed: int = 5) -> Interactions:
    """`rounds` steps of all users from session 0 of the seed."""
    observation, _ = envs.reset(seed=seed)
    return collect(envs, random_policy(envs), rounds * envs.num_envs, np.random.default_rng(1), observation)


def same(one: Interactions, other: Interactions) -> bool:
    ours, others = one.columns(), other.columns()
    return list(ours) == list(others) and all(
        ours[k].dtype == others[k].dtype and np.array_equal(ours[k], others[k]) for k in ours
    )


@pytest.fixture(scope="module")
def log() -> Interactions:
    return logged(shelf(6, forbidden=1, history=2, totals=True), 10)


@pytest.fixture
def path(log: Interactions, tmp_path: Path) -> Path:
    log.to_parquet(tmp_path / "log.parquet")
    return tmp_path / "log.parquet"


# -- propensities ----------------------------------------------------------------------------------------


def test_a_slates_propensity_is_the_product_of_its_places(log: Interactions) -> None:
    expected = [np.prod(row) for row in log.place_propensities]
    assert np.array_equal(log.propensities, expected)
    assert np.array_equal(replace(log, place_propensities=np.full((2, 3), 0.5)).propensities, [0.125, 0.125])


def test_random_slates_know_their_propensities() -> None:
    assert np.array_equal(logged(shelf(5), 3).place_propensities, np.tile([1 / 4, 1 / 3, 1 / 2], (15, 1)))
    assert np.array_equal(logged(shelf(5, forbidden=1), 3).place_propensities, np.tile([1 / 3, 1 / 2, 1], (15, 1)))


def as_likely_as_told(log: Interactions) -> bool:
    """Whether slates are shown as often as their propensities say, among users with the same mask."""
    masks = log.observations.get("mask", np.ones((len(log), 4)))
    likely = True
    for mask in np.unique(masks, axis=0):
        mine = (masks == mask).all(axis=1)
        slates = [tuple(slate) for slate in log.slates[mine].tolist()]
        possible = list(itertools.permutations(np.flatnonzero(mask).tolist(), 3))
        told = dict(zip(slates, log.propensities[mine].tolist(), strict=True))
        counts = np.array([slates.count(slate) for slate in possible])
        expected = len(slates) * np.array([told.get(slate, 0.0) for slate in possible])
        if counts.sum() != len(slates) or not np.isclose(expected.sum(), len(slates)):
            return False
        likely &= bool(stats.chisquare(counts, expected).pvalue > 1e-3)
    return likely


def break_the_order(policy: RandomSlates) -> None:
    """Break a policy: it shows its slates in the order of the positions."""
    act = policy.act
    policy.act = lambda observation, rng: np.sort(act(observation, rng), axis=1)  # type: ignore[method-assign]


@pytest.mark.parametrize("forbidden", [0, 1])
def test_slates_are_shown_as_often_as_their_propensities_say(forbidden: int) -> None:
    envs = shelf(200, forbidden)
    policy, rng = random_policy(envs), np.random.default_rng(3)
    envs.reset(seed=3)
    assert as_likely_as_told(collect(envs, policy, 2400, rng))
    break_the_order(policy)
    assert not as_likely_as_told(collect(envs, policy, 600, rng))


# -- what is in a log ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["shelf", *data_free_worlds()])
def test_a_log_holds_what_the_environment_offered_and_gave(text: str) -> None:
    def made() -> RecVectorEnv:
        if text == "shelf":
            return shelf(6, forbidden=1, history=2, totals=True)
        return make_vector_env(text, 6, history=2, totals=True)

    log, envs = logged(made(), 70), made()
    before, _ = envs.reset(seed=5)
    for k in range(70):
        rows = slice(6 * k, 6 * k + 6)
        offered = envs.simulator.state.items.copy()
        after, rewards, terminated, truncated, info = envs.step(log.slates[rows])
        for name, values in before.items():
            assert np.array_equal(log.observations[name][rows], values)
        if text == "shelf":
            assert np.array_equal(log.observations["candidate_ids"][rows], offered["id"])
            assert np.array_equal(log.observations["mask"][rows], offered["allowed"])
            assert np.array_equal(log.observations["candidates"][rows, :, 0], offered["weight"].astype(np.float32))
        assert log.observations.keys() == before.keys()
        assert np.array_equal(log.rewards[rows], rewards)
        assert np.array_equal(log.terminated[rows], terminated)
        assert np.array_equal(log.truncated[rows], truncated)
        for name, values in log.responses.items():
            assert np.array_equal(values[rows], info[name])
        before = after
    assert list(log.responses) == [field.name for field in envs.scenario.response_fields()]
    assert len(log) == 420


def test_each_row_says_whose_step_it_was() -> None:
    log = logged(shelf(3, steps=4, first_user=7), 10)
    assert log.user.tolist() == [7, 8, 9] * 10
    assert log.session.tolist() == [session for k in range(10) for session in [k // 4] * 3]
    assert log.step.tolist() == [step for k in range(10) for step in [k % 4] * 3]
    assert np.array_equal(log.terminated, log.step == 3)
    assert not log.truncated.any()


def test_without_an_observation_a_log_begins_with_the_next_session() -> None:
    envs = shelf(3)
    envs.reset(seed=0)
    first = envs.reset()[0]
    envs.reset(seed=0)
    log = collect(envs, random_policy(envs), 3, np.random.default_rng(0))
    assert log.session.tolist() == [1, 1, 1]
    assert np.array_equal(log.observations["candidates"], first["candidates"])


def test_a_log_holds_whole_steps_and_no_more_than_was_asked_for() -> None:
    envs = shelf(3)
    assert len(collect(envs, random_policy(envs), 11, np.random.default_rng(0))) == 9
    with pytest.raises(DataError, match="cannot log 2 user-steps of 3 users: ask for at least one step of all"):
        collect(envs, random_policy(envs), 2, np.random.default_rng(0))


@pytest.mark.parametrize("slate", [[0, 0, 1], [0, 1, 2]], ids=["repeated", "masked"])
def test_a_policy_whose_slates_need_repair_is_refused(slate: list[int]) -> None:
    envs = shelf(40, forbidden=0 if slate[0] == slate[1] else 1)
    policy = random_policy(envs)
    policy.act = lambda observation, rng: np.tile(slate, (40, 1))  # type: ignore[method-assign]
    with pytest.raises(DataError, match="repeated or masked a position"):
        collect(envs, policy, 40, np.random.default_rng(0))


def test_a_frame_has_a_row_a_step(log: Interactions) -> None:
    frame = log.frame()
    assert len(frame) == 60
    assert set(frame.columns) == set(log.columns())
    assert frame["user"].tolist() == log.user.tolist()
    assert np.array_equal(np.array(frame["slates"].tolist()), log.slates)
    assert np.array_equal(np.array(frame["observed_candidates"].tolist()), log.observations["candidates"])
    assert np.array_equal(np.array(frame["response_shown"].tolist()), log.responses["shown"])
    assert np.allclose(frame["propensity"], 1 / 6)


# -- files -----------------------------------------------------------------------------------------------


def test_parquet_gives_back_all_that_was_logged(log: Interactions, path: Path) -> None:
    back = Interactions.from_parquet(path)
    assert same(back, log)
    for field in fields(Interactions):
        assert np.shape(getattr(back, field.name)) == np.shape(getattr(log, field.name))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("text", data_free_worlds())
def test_parquet_gives_back_a_log_of_every_world(text: str, tmp_path: Path) -> None:
    log = logged(make_vector_env(text, 4, history=2, totals=True, observe="full"), 5)
    log.to_parquet(tmp_path / "deep" / "log.parquet")
    assert same(Interactions.from_parquet(tmp_path / "deep" / "log.parquet"), log)


def test_the_comparison_notices_one_number(log: Interactions) -> None:
    rewards = log.rewards.copy()
    rewards[7] += 1e-9
    assert not same(replace(log, rewards=rewards), log)
    assert not same(replace(log, slates=log.slates.astype(np.int32)), log)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.parquet holds no logged interactions: "):
        Interactions.from_parquet(tmp_path / "nothing.parquet")


def without(column: str) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pq.read_table(path).drop_columns(column), path)


def with_shapes(shapes: bytes) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata({SHAPES: shapes}), path)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "text": lambda path: path.write_text("user,session\n1,2\n"),
    "another table": lambda path: pq.write_table(pa.table({"user": [1, 2]}), path),
    "a column is gone": without("rewards"),
    "an observation is gone": without("observed_mask"),
    "no shapes": with_shapes(b"{}"),
    "shapes that are none": with_shapes(b"[1, 2]"),
    "shapes of another kind": with_shapes(b'{"user": 3}'),
    "shapes that do not fit": with_shapes(b'{"slates": [5, 7]}'),
    "a shape of a plain column": with_shapes(b'{"user": [3]}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_told(path: Path, damage: str) -> None:
    DAMAGE[damage](path)
    with pytest.raises(DataError) as caught:
        Interactions.from_parquet(path)
    assert str(caught.value).startswith(f"{path} holds no logged interactions: ")
    assert "\n" not in str(caught.value)


def test_a_folder_without_files_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no Parquet file in this folder"):
        Interactions.from_parquet(tmp_path)


def test_a_damaged_file_of_a_folder_is_told(log: Interactions, tmp_path: Path) -> None:
    for name in ("a", "b"):
        log.to_parquet(tmp_path / f"{name}.parquet")
    assert len(Interactions.from_parquet(tmp_path)) == 2 * len(log)
    DAMAGE["a column is gone"](tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet holds no logged interactions"):
        Interactions.from_parquet(tmp_path)


def test_logs_one_after_another_make_one_file(log: Interactions, tmp_path: Path) -> None:
    assert write_logs(tmp_path / "log.parquet", iter([log, log, log])) == 3 * len(log)
    assert same(Interactions.from_parquet(tmp_path / "log.parquet"), joined_logs([log, log, log]))
    with pytest.raises(DataError, match="there is nothing to write"):
        write_logs(tmp_path / "none.parquet", [])
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_a_flipped_byte_never_passes_for_data(log: Interactions, path: Path) -> None:
    content, told = path.read_bytes(), 0
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")  # below the file's footer
    for at in np.random.default_rng(0).integers(4, pages, 150).tolist():
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        try:
            assert same(Interactions.from_parquet(path), log), f"byte {at}"
        except DataError:
            told += 1
    assert told > 100


class Stopped(BaseException):
    """As the interrupt of a keyboard."""


@pytest.mark.parametrize("error", [OSError("no space left"), Stopped()], ids=["disk", "interrupt"])
@pytest.mark.parametrize("earlier", [False, True])
def test_nothing_half_written_stays_when_writing_fails(
    log: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, earlier: bool
) -> None:
    path = tmp_path / "log.parquet"
    if earlier:
        path.write_text("what was there before")

    def fails(where: Path, *arguments: Any, **options: Any) -> None:
        where.write_bytes(b"half of it")
        raise error

    monkeypatch.setattr("recsim_env.array_files.pq.ParquetWriter", fails)
    with pytest.raises(type(error)):
        log.to_parquet(path)
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if earlier else [])
    if earlier:
        assert path.read_text() == "what was there before"


def test_a_folder_is_whole_or_absent_too(tmp_path: Path) -> None:
    with pytest.raises(Stopped), whole(tmp_path / "deep" / "agent") as aside:
        aside.mkdir()
        (aside / "half").write_text("half")
        raise Stopped
    assert list((tmp_path / "deep").iterdir()) == []
    with whole(tmp_path / "deep" / "agent") as aside:
        assert not (tmp_path / "deep" / "agent").exists()
        aside.mkdir()
        (aside / "all").write_text("all")
    assert [p.name for p in (tmp_path / "deep").rglob("*")] == ["agent", "all"]
