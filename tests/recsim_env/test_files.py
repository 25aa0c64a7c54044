"""What stands at a place is replaced only where it is known to be ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsim_env.errors import RunFolderError
from recsim_env.files import check_place, made, whole

MARK = "build.json"


def write_folder(path: Path, text: str) -> None:
    with whole(path, MARK) as part:
        part.mkdir()
        (part / MARK).write_text(text)


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(RunFolderError, match="is a folder"), whole(tmp_path / "thesis") as part:
        part.write_text("figures")
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis", "chapter.txt"]


def test_a_folder_that_came_meanwhile_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is a folder"), whole(tmp_path / "log") as part:
        part.write_text("figures")
        (tmp_path / "log").mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["log"]


def test_a_folder_takes_the_place_of_our_own_only(tmp_path: Path) -> None:
    write_folder(tmp_path / "catalogue", "first")
    write_folder(tmp_path / "catalogue", "second")
    assert (tmp_path / "catalogue" / MARK).read_text() == "second"
    (tmp_path / "photos").mkdir()
    write_folder(tmp_path / "photos", "an empty folder holds nothing to lose")
    (tmp_path / "photos" / MARK).rename(tmp_path / "photos" / "summer.jpg")
    (tmp_path / "letter").write_text("dear diary")
    for name in ("photos", "letter"):
        with pytest.raises(RunFolderError, match=f"no folder with a file {MARK}"):
            write_folder(tmp_path / name, "third")
    assert (tmp_path / "photos" / "summer.jpg").exists() and (tmp_path / "letter").is_file()


@pytest.mark.parametrize("path", ["letter/x/y.parquet", "/proc/x.parquet", "/proc/x/y.parquet", "/dev/null"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_made(tmp_path: Path, path: str) -> None:
    (tmp_path / "letter").write_text("dear diary")
    with pytest.raises(RunFolderError, match=r"cannot be written|is a device"):
        check_place(tmp_path / path)
    assert [path.name for path in tmp_path.rglob("*")] == ["letter"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear diary")
    with pytest.raises(RunFolderError, match="letter cannot be written"):
        made(tmp_path / "letter")
