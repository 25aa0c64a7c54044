"""Arrows between the packages point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "recsim_env": {"recsim_env"},
    "agents": {"agents", "recsim_env"},
    "movieharbor": {"movieharbor", "recsim_env"},
    "scenarios": {"scenarios", "movieharbor", "recsim_env"},
    "benchmark": {"benchmark", "agents", "scenarios", "movieharbor", "recsim_env"},
}


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names} & MAY_IMPORT.keys()


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    found = {path.name: imported(path) - MAY_IMPORT[package] for path in files}
    assert not {name: wrong for name, wrong in found.items() if wrong}
