"""A scenario with a mistake put into its text, to see that a check finds it."""

from __future__ import annotations

import inspect
from pathlib import Path

from recsim_env.registration import find_world
from recsim_env.scenario import Scenario


def planted(scenario: type[Scenario], folder: Path, right: str, wrong: str) -> type[Scenario]:
    """The class from its file with `right` replaced by `wrong`; `right` must stand there exactly once."""
    text = Path(inspect.getfile(scenario)).read_text(encoding="utf-8")
    assert text.count(right) == 1, f"{right!r} stands {text.count(right)} times in the text of {scenario.__name__}"
    path = folder / f"{scenario.__module__.rpartition('.')[2]}_planted.py"
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    return find_world(f"{path}:{scenario.__name__}").scenario
