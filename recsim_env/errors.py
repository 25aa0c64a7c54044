"""Every error a user can cause, each naming the thing, the rule and the value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RecSimError(Exception):
    """The base of the errors below; the command line prints it as one line and exits with 2."""


class UnknownName(RecSimError, ValueError):
    """A scenario, agent, preset, parameter or option that does not exist."""


class UnknownKeyword(UnknownName, TypeError):
    """A keyword that neither the scenario nor the environment has; a TypeError, as of any function of Python."""


class InvalidParameter(RecSimError, ValueError):
    """A parameter of the wrong type or out of its range."""


class InvalidAction(RecSimError, ValueError):
    """An action that is not a slate of candidate positions."""


class ScenarioError(RecSimError):
    """A mistake in the text of a scenario: its fields or its verbs."""


class AgentError(RecSimError):
    """An agent that does not fit the world, or does not keep its contract."""


class Diverged(AgentError):
    """An agent whose losses or scores are no numbers any more."""


class RewardError(RecSimError):
    """Rewards that no computer can add up, or square, as means and intervals need it.

    Attributes:
        place: whose they are, among the users of the environment.
    """

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place

    def __reduce__(self) -> tuple[type[RewardError], tuple[str, int]]:
        return type(self), (str(self), self.place)  # so that it comes whole from another process


class DataError(RecSimError):
    """Data files that are missing, damaged or of another layout."""


class RunFolderError(RecSimError):
    """A run folder that holds something else than what was asked for."""


class UntrustedCode(RecSimError):
    """A folder names Python code that the command line did not name."""


class RunFailed(RecSimError):
    """Some runs of an experiment failed; the others are whole."""


class BudgetSpent(RecSimError):
    """A step that would exceed the interaction budget; nothing was simulated."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """An `UnknownName` with the nearest known name, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return UnknownName(f"unknown {kind} {name!r}; {hint}")
