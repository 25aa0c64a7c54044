"""What a search tries: an agent's settings, between two numbers or among choices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsim_env.errors import InvalidParameter, unknown

RANGE = re.compile(r"^([^:]+):([^:]+?)(:log)?$")


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched: between two numbers, or among choices."""

    name: str
    kind: type
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, kinds: Mapping[str, Any], agent: str) -> Dimension:
        """NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=a,b,c.

        Raises:
            UnknownName: no setting of the agent. InvalidParameter: not such a text.
        """
        name, equals, values = text.partition("=")
        if not equals:
            raise InvalidParameter(f"--space takes name=low:high, name=low:high:log or name=a,b,c, not {text!r}")
        if name not in kinds:
            raise unknown(f"setting of agent {agent}", name, kinds)
        found = RANGE.match(values)
        if not found:
            return cls(name, kinds[name], choices=tuple(part.strip() for part in values.split(",")))
        if kinds[name] not in (int, float):
            raise InvalidParameter(f"--space {text}: {name} is no number; give its choices, as {name}=a,b")
        try:
            low, high = (kinds[name](end) for end in found.groups()[:2])
        except ValueError:
            raise InvalidParameter(f"--space {text}: both ends must be {kinds[name].__name__} numbers") from None
        log = bool(found.group(3))
        if not low < high or (log and low <= 0):
            raise InvalidParameter(f"--space {text}: needs low < high{', and low over 0 for log' if log else ''}")
        return cls(name, kinds[name], low, high, log)

    def suggest(self, trial: Any) -> Any:
        """A value for an Optuna trial."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        if self.kind is int:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)
