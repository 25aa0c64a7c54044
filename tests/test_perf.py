"""What the scripts of `perf/` say of known things, and that they run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsim_env import make_vector_env
from tests.scripts import script


def test_a_level_is_reached_where_the_curve_stays_above_it() -> None:
    sb3_dqn = script("sb3_dqn")
    reached = sb3_dqn.reached
    lucky = [(0.0, 1.0), (1.0, 9.0), (2.0, 3.0), (3.0, 6.0), (4.0, 5.0)]
    assert reached(lucky, 5.0) == 3.0  # not 1.0, from where it fell again
    assert reached(lucky, 1.0) == 0.0 and reached(lucky, 5.5) == float("inf")
    assert sb3_dqn.first_at(lucky, 5.0) == 1.0 and sb3_dqn.first_at(lucky, 9.5) == float("inf")


def test_the_comparison_with_sb3_goes_on_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sb3_dqn = script("sb3_dqn")
    for name, value in {"THEIRS": ("sb3:DQN",), "OURS": ("", "@updates=1"), "TRIAL": (100,), "USERS": 20}.items():
        monkeypatch.setattr(sb3_dqn, name, value)
    call = f"sb3_dqn --steps 1920 --seeds 1 --out {tmp_path} --also dqn@batch=64 --picture {tmp_path / 'curves.png'}"
    monkeypatch.setattr(sys, "argv", call.split())
    sb3_dqn.main()
    told = capsys.readouterr().out
    assert "% of the way" in told and "for good" in told
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.glob("*/*.json"))) == 6  # three of the trial, one of each side, and what is beside them

    def nothing_is_trained(run: object) -> None:
        raise AssertionError(f"{run} was kept")

    monkeypatch.setattr(sb3_dqn, "curve", nothing_is_trained)
    sb3_dqn.main()
    assert capsys.readouterr().out == told


def test_ranks_split_few_experiments_of_the_same_agents_and_find_the_better_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = script("ranks")
    for name, value in {"AGENTS": (6,), "SEEDS": (3, 10), "EXPERIMENTS": 100}.items():
        monkeypatch.setattr(ranks, name, value)
    ranks.main()
    few, many = capsys.readouterr().out.splitlines()[2:]
    for line in (few, many):
        apart, split = (float(cell.split()[0]) for cell in line.split("|")[3:5])
        assert split <= apart <= 12.0  # of 5 expected, and as luck has it
    assert many.endswith("| 100.0 % | 100.0 % |")


def test_the_limits_count_what_a_step_cannot_do_without() -> None:
    limits = script("limits")
    assert limits.hashes_of("interest_evolution") == limits.hashes_of("interest_evolution")
    # Ten offers, three streams, three qualities, a choice, and a shift after most slates; a new session now and then.
    assert 17.0 < limits.hashes_of("interest_evolution") < 19.0
    few, many = (make_vector_env("interest_evolution", 3, num_candidates=n) for n in (10, 20))
    assert limits.bytes_of(many) - limits.bytes_of(few) == 10 * (2 * 8 + 4 * 20)  # a topic, and how it is observed


def test_the_parts_of_a_training_are_the_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    training, out = script("training"), tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", f"training --agents dqn --steps 4000 --repeats 1 --out {out}".split())
    training.main()
    row = json.loads(out.read_text())["agents"]["dqn"]
    shares = [row[part] for part in (*training.PARTS, "other")]
    assert sum(shares) == pytest.approx(1.0) and min(shares) > 0.0


def test_what_a_gpu_computes_is_asked_of_a_window_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    training, asked = script("training"), list[tuple[str, int]]()
    played = 0

    class Profile:
        def start(self) -> None:
            asked.append(("start", played))

        def stop(self) -> None:
            asked.append(("stop", played))

        def key_averages(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(self_device_time_total=3e6), SimpleNamespace(self_device_time_total=1e6)]

    monkeypatch.setattr("torch.cuda.synchronize", lambda: None)
    monkeypatch.setattr("torch.profiler.profile", lambda activities: Profile())
    monkeypatch.setattr(training.time, "perf_counter", lambda: 0.25 * played)  # a step takes a quarter of a second
    window = training.Window(100)
    step = window.around(lambda slates: slates)
    for played in range(100):
        assert step(played) == played
    assert asked == [("start", 34), ("stop", 34 + window.STEPS)]
    assert window.share == 4.0 / (0.25 * window.STEPS)
