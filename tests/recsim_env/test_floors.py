"""The lower bounds of the dependencies are the versions that `make test-lowest` installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
UNTESTED = {"cuda", "all"}  # a GPU's compiler; the sum of the others


def asked() -> list[Requirement]:
    """What pyproject.toml asks for, extras too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [texts for name, texts in project["optional-dependencies"].items() if name not in UNTESTED]
    return [Requirement(text) for texts in (project["dependencies"], *extras) for text in texts]


def pinned(file: str) -> dict[str, Version]:
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]
    return {as_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


def as_name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def floors() -> dict[str, Version]:
    """By name the lowest version that a requirement allows."""
    return {
        as_name(asks.name): Version(part.version)
        for asks in asked()
        for part in asks.specifier
        if part.operator == ">="
    }


def test_the_lowest_run_installs_each_floor() -> None:
    pins = pinned("constraints-lowest.txt")
    assert pins.pop("torch") == pinned("constraints.txt")["torch"]  # as the file says
    assert pins == {name: version for name, version in floors().items() if name != "torch"}


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("tensorboard", "2.17.1"),  # before, AttributeError beside numpy 2 where a run tells its settings
        ("plotly", "6.1.1"),  # before, no write_images: ImportError in report
        ("typer", "0.16"),  # 0.15.0 beside click 8.2 and newer: TypeError where --help is printed
        ("pydantic", "2.9"),  # before, NameError in langsmith, which langchain imports
        ("pandas", "2.2.2"),  # these two: the first for numpy 2
        ("matplotlib", "3.8.4"),
    ],
)
def test_versions_that_were_seen_to_fail_are_below_the_floors(name: str, first: str) -> None:
    assert floors()[name] >= Version(first)
    assert all(
        asks.specifier.contains(pinned("constraints.txt")[as_name(asks.name)]) for asks in asked() if asks.specifier
    )
