"""The command line in a test."""

from __future__ import annotations

import sys

import pytest

from benchmark import cli


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `recsim-env` with these words and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["recsim-env", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)
