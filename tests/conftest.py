"""The order of the test files: those that take long come first, so that two workers end at the same time."""

from __future__ import annotations

import pytest

LONGEST = ["test_tutorials.py", "test_experiment.py", "test_env.py", "test_fidelity.py", "test_recovery.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
