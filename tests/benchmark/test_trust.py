"""Folders of runs import nothing that the command line did not name, unless they are trusted."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsim_env.chat_models import find_chat_model
from recsim_env.errors import UntrustedCode
from recsim_env.registration import find_world
from recsim_env.trust import told_by, trusting
from tests.benchmark.commands import run

WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"
BODY = "from pathlib import Path\nPath(__file__).with_suffix('.ran').write_text('')\n"


class Foreign:
    """Python of somebody else, which leaves a file where it is run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "theirs.py"
        self.path.write_text(BODY)

    @property
    def ran(self) -> bool:
        return self.path.with_suffix(".ran").exists()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment."""
    out = tmp_path_factory.mktemp("trust") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        words = ("--agents", "tabular_q,random", "--seeds", "1", "--steps", "1280", "--users", "10", "--workers", "1")
        assert run(patch, "bench", WORLD, *words, "--out", str(out)) == 0
    return out


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(runs, tmp_path / "runs"))


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    return Foreign(tmp_path)


def rewrite(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> bool:
    told = capsys.readouterr().err
    return told.count("\n") == 1 and all(word in told for word in (*words, "pass --trust"))


@pytest.mark.parametrize("key", ["scenario", "agent"])
@pytest.mark.parametrize("command", ["evaluate", "preview", "collect"])
def test_a_run_names_no_python(
    copied: Path, foreign: Foreign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    command: str, key: str, tmp_path: Path,
) -> None:  # fmt: skip
    agent = next(copied.rglob("tabular_q/seed-0/agent"))
    rewrite(agent.parent / "run.json", **{key: f"{foreign.path}:Theirs"})
    options = {"collect": ["--sessions", "5", "--out", str(tmp_path / "log.parquet")]}.get(command, ["--users", "5"])
    assert run(monkeypatch, command, WORLD, "--agent", str(agent), *options) == 2
    assert refused(capsys, str(agent.parent / "run.json"), str(foreign.path)) and not foreign.ran


def test_with_trust_it_is_imported(
    copied: Path, foreign: Foreign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = next(copied.rglob("tabular_q/seed-0/agent"))
    rewrite(agent.parent / "run.json", scenario=str(foreign.path))
    assert run(monkeypatch, "evaluate", WORLD, "--agent", str(agent), "--users", "5", "--trust") == 0
    assert foreign.ran


def test_what_the_command_line_named_may_be_named_again(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = next(copied.rglob("tabular_q/seed-0/agent"))
    assert run(monkeypatch, "evaluate", WORLD, "--agent", str(agent), "--users", "5") == 0


def test_a_preset_that_a_run_names_names_no_python(tmp_path: Path, foreign: Foreign) -> None:
    (tmp_path / "theirs.yaml").write_text(f"scenario: {foreign.path.name}:Theirs\n")
    with told_by(tmp_path / "run.json"), pytest.raises(UntrustedCode, match=r"run\.json names Python code"):
        find_world(str(tmp_path / "theirs.yaml"))
    assert not foreign.ran


@pytest.mark.parametrize("key", ["worlds", "agents"])
def test_an_experiment_names_no_python(
    copied: Path, foreign: Foreign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed: pip install 'recsim-env[report]'")
    path, theirs = copied / "experiment.json", f"{foreign.path}:Theirs"
    told = json.loads(path.read_text())
    old = WORLD if key == "worlds" else "tabular_q"
    told["experiment"][key] = {theirs if name == old else name: own for name, own in told["experiment"][key].items()}
    path.write_text(json.dumps(told))
    if key == "worlds":
        (copied / "worlds.py-TinyWorld").rename(copied / "theirs.py-Theirs")
    else:
        (copied / "worlds.py-TinyWorld" / "tabular_q").rename(copied / "worlds.py-TinyWorld" / "theirs.py-Theirs")
    import pandas as pd

    for table in copied.rglob("*.parquet"):  # all agrees with the experiment
        kept = pd.read_parquet(table)
        kept.assign(agent=kept["agent"].replace({old: theirs})).to_parquet(table, index=False)
    for one in copied.rglob("run.json"):
        own = json.loads(one.read_text())
        name = "scenario" if key == "worlds" else "agent"
        one.write_text(json.dumps(own | {name: theirs if own[name] == old else own[name]}))
    assert run(monkeypatch, "report", str(copied)) == 2
    assert refused(capsys, str(path), str(foreign.path)) and not foreign.ran
    assert run(monkeypatch, "report", str(copied), "--lives", "0") == 0  # for which nothing is imported
    assert not foreign.ran


def test_an_agents_settings_name_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain", reason="langchain is not installed: pip install 'recsim-env[llm]'")
    (tmp_path / "theirs_of_a_run.py").write_text(BODY)
    monkeypatch.syspath_prepend(str(tmp_path))
    with told_by(tmp_path / "settings.json"), pytest.raises(UntrustedCode, match=r"settings\.json names Python code"):
        find_chat_model("theirs_of_a_run:Chat", 1.0, 0)
    assert "theirs_of_a_run" not in sys.modules and not (tmp_path / "theirs_of_a_run.ran").exists()
    with told_by(tmp_path / "settings.json"), trusting(), pytest.raises(Exception, match="no chat model"):
        find_chat_model("theirs_of_a_run:Chat", 1.0, 0)
    assert (tmp_path / "theirs_of_a_run.ran").exists()
