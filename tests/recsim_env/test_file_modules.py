"""A world's or agent's file imports what lies beside it, and nobody else notices."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from recsim_env.class_files import class_in_file
from recsim_env.errors import ScenarioError
from recsim_env.file_modules import load


class Base:
    """What the classes of the files are."""


HEAD = "from tests.recsim_env.test_file_modules import Base\n"
OWN = HEAD + "from shared import RATE\nclass Own(Base):\n    rate = RATE\n"


def write(folder: Path, **files: str) -> Path:
    """Files by name, `__` standing for a folder; the folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def rate(folder: Path, name: str = "own") -> object:
    made: type[Base] = class_in_file(f"{folder / name}.py", Base, ScenarioError)
    return made.rate  # type: ignore[attr-defined]  # of the classes in the files


def test_a_file_imports_the_one_beside_it_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "deep", own=OWN, shared="RATE = 0.9\n")
    assert rate(tmp_path / "deep") == 0.9
    monkeypatch.chdir(tmp_path)
    assert rate(Path("deep")) == 0.9


def test_files_of_one_name_in_two_folders_are_two_modules_and_the_process_is_as_it_was(tmp_path: Path) -> None:
    paths, modules = list(sys.path), set(sys.modules)
    for value in (1, 2):
        write(tmp_path / str(value), own=OWN, shared=f"RATE = {value}\n")
    assert [rate(tmp_path / value) for value in ("1", "2", "1")] == [1, 2, 1]
    assert sys.path == paths
    assert all(name.startswith("recsim_env_user_") for name in set(sys.modules) - modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_import_inside_a_function_looks_there_too(tmp_path: Path) -> None:
    write(tmp_path, own="def late():\n    import shared\n    return shared.RATE\n", shared="RATE = 3\n")
    assert load(tmp_path / "own.py").late() == 3


def test_packages_and_plain_folders_are_imported_and_their_files_import_each_other(tmp_path: Path) -> None:
    own = "import kit.deep.more, loose.part as part\nfrom kit import base\nRATES = kit.deep.more.UP, part.P, base.ONE\n"
    write(
        tmp_path,
        own=own,
        loose__part="P = 7\n",
        kit__base="ONE = 1\n",
        kit__deep__more="from ..base import ONE\nUP = ONE + 1\n",
    )
    for folder in (tmp_path / "kit", tmp_path / "kit" / "deep"):
        (folder / "__init__.py").write_text("from kit.base import ONE\n")
    assert load(tmp_path / "own.py").RATES == (2, 7, 1)


def test_files_that_import_each_other_are_imported(tmp_path: Path) -> None:
    write(tmp_path, own="RATE = 1\nimport shared\n", shared="import own\nTWICE = 2 * own.RATE\n")
    assert load(tmp_path / "own.py").shared.TWICE == 2


def test_installed_packages_are_what_they_were(tmp_path: Path) -> None:
    """Also where a copy of this project lies beside the file."""
    write(tmp_path, own="import json.decoder, recsim_env, os.path\nfrom os import sep\n", recsim_env____init__="")
    module = load(tmp_path / "own.py")
    assert module.recsim_env is sys.modules["recsim_env"] and module.json.decoder.__name__ == "json.decoder"
    assert module.os is os and module.sep == os.sep


def test_a_file_is_run_again_when_one_that_it_imports_changed(tmp_path: Path) -> None:
    write(tmp_path, own=OWN, shared="from values import RATE\n", values="RATE = 1\n")
    kind = class_in_file(f"{tmp_path}/own.py", Base, ScenarioError)
    assert class_in_file(f"{tmp_path}/own.py", Base, ScenarioError) is kind
    write(tmp_path, values="RATE = 2\n")
    assert rate(tmp_path) == 2


def test_a_file_that_cannot_be_imported_is_told_and_read_again_when_mended(tmp_path: Path) -> None:
    write(tmp_path, own=OWN)
    with pytest.raises(ScenarioError, match=r"own\.py, line 2 cannot be imported: ModuleNotFoundError: .*'shared'"):
        rate(tmp_path)
    write(tmp_path, shared="RATE = 1 / 0\n")
    with pytest.raises(ScenarioError, match=r"own\.py, line 2 cannot be imported: ZeroDivisionError"):
        rate(tmp_path)
    write(tmp_path, shared="RATE = 4\n")
    assert rate(tmp_path) == 4
