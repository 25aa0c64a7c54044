"""`recsim-env new`: what it writes works, reads well and never takes another file's place or name."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from benchmark import cli
from benchmark.new import check_name
from benchmark.run import Run, execute
from recsim_env import find_world
from recsim_env.agent import agent_class
from recsim_env.errors import AgentError, UnknownName


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["recsim-env", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new scenario and a new agent."""
    made = tmp_path_factory.mktemp("mine") / "worlds"
    with pytest.MonkeyPatch.context() as patch:
        assert run(["new", "scenario", "night_market", "--folder", str(made)], patch) == 0
        assert run(["new", "agent", "quiet_host", "--folder", str(made)], patch) == 0
    return made


def test_module(path: Path) -> ModuleType:
    """A written test as a module, its pieces at hand."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


test_module.__test__ = False  # type: ignore[attr-defined]


def test_four_files_are_written(folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("*.py"))
    assert names == ["night_market.py", "quiet_host.py", "test_night_market.py", "test_quiet_host.py"]
    assert len((folder / "night_market.py").read_text().splitlines()) < 60
    assert not any("$" in path.read_text() for path in folder.glob("*.py"))


@pytest.mark.parametrize("options", [["--line-length", "120"], ["--line-length", "88"]])
def test_they_keep_the_style(folder: Path, options: list[str]) -> None:
    for command in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *command, "--isolated", *options, str(folder)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


def test_the_scenarios_own_tests_pass(folder: Path) -> None:
    tests = test_module(folder / "test_night_market.py")
    tests.test_quiet_items_keep_people_longer()
    tests.test_it_keeps_the_contract()  # compiles


def test_the_scenarios_own_test_can_fail(folder: Path, tmp_path: Path) -> None:
    changed = (folder / "night_market.py").read_text().replace("loudness * loudness", "0.2")
    assert changed != (folder / "night_market.py").read_text()
    (tmp_path / "night_market.py").write_text(changed)
    path = tmp_path / "test_night_market.py"
    path.write_text((folder / path.name).read_text())
    with pytest.raises(AssertionError):
        test_module(path).test_quiet_items_keep_people_longer()


def test_the_agents_own_tests_pass(folder: Path) -> None:
    tests = test_module(folder / "test_quiet_host.py")
    tests.test_it_keeps_the_contract()
    tests.test_it_learns_from_what_it_shows()


def test_the_next_commands_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "scenario", "tea_room"], monkeypatch) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "wrote tea_room.py and test_tea_room.py; next:"
    assert [line.split()[:2] for line in said[1:]] == [["recsim-env", name] for name in ("check", "preview", "bench")]
    assert find_world("tea_room.py").name == "TeaRoom"
    assert run(["new", "agent", "tea_host"], monkeypatch) == 0
    assert "recsim-env bench --agents tea_host.py:TeaHost,random" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CoffeeShop", "small letters"),
        ("coffee-shop", "small letters"),
        ("1st", "small letters"),
        ("_shop", "small letters"),
        ("../shop", "small letters"),
        ("", "small letters"),
        ("class", "word of Python's own"),
        ("random", "installed module"),
        ("numpy", "installed module"),
        ("agents", "installed module"),
        ("dqn", "installed agent or scenario"),
        ("boredom", "installed agent or scenario"),
        ("field", "the class Field"),
        ("scenario", "the class Scenario"),
        ("none", "the class None"),
    ],
)
@pytest.mark.parametrize("kind", ["scenario", "agent"])
def test_a_name_that_cannot_be_used_is_refused(
    kind: str, name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(["new", kind, name, "--folder", str(tmp_path)], monkeypatch) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_usual_name_is_not_refused() -> None:
    for name in ("shop", "shop_2", "match", "my_world"):
        check_name(name)


@pytest.mark.parametrize("there", ["shop.py", "test_shop.py"])
def test_a_file_is_never_overwritten(there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / there).write_text("mine")
    assert run(["new", "scenario", "shop", "--folder", str(tmp_path)], monkeypatch) == 2
    assert f"{tmp_path / there} exists and is never overwritten" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


# -- an agent by its file ------------------------------------------------------------------------------


def test_an_agent_is_found_by_its_file(folder: Path) -> None:
    kind = agent_class(f"{folder / 'quiet_host.py'}:QuietHost")
    assert agent_class(str(folder / "quiet_host.py")) is kind
    with pytest.raises(UnknownName, match=r"unknown agent class in .* 'QuietHots'; did you mean 'QuietHost'"):
        agent_class(f"{folder / 'quiet_host.py'}:QuietHots")
    with pytest.raises(AgentError, match="there is no agent file"):
        agent_class(f"{folder / 'nowhere.py'}:QuietHost")


def test_its_run_gets_a_folder_of_its_own(folder: Path) -> None:
    text = f"{folder / 'quiet_host.py'}:QuietHost"
    made = Run("interest_evolution", {}, text, {}, 1, 100, 10).folder(Path("runs"))
    assert made == Path("runs/interest_evolution/quiet_host.py-QuietHost/seed-1")


def test_two_agents_of_one_folder_name_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "quiet_host.py").write_text((folder / "quiet_host.py").read_text())
    agents = ",".join(f"{path / 'quiet_host.py'}:QuietHost" for path in (folder, tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(["bench", "interest_evolution", "--agents", agents], monkeypatch) == 2
    assert "names an agent twice" in capsys.readouterr().err


def test_a_new_agent_runs_in_a_new_world(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker of `bench`, from the same texts; what was compiled for the file is still at hand."""
    monkeypatch.chdir(folder)
    run = Run("night_market.py:NightMarket", {}, "quiet_host.py:QuietHost", {"explore": "0.5"}, 0, 1500, 50)
    execute(run, tmp_path, lambda step, scalars: None, threads=1)
    made = tmp_path / "night_market.py-NightMarket" / "quiet_host.py-QuietHost" / "seed-0"
    assert json.loads((made / "agent" / "settings.json").read_text())["explore"] == 0.5
    assert len(pd.read_parquet(made / "evaluation.parquet")) == 50
