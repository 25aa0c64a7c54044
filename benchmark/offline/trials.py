"""The offline test of many agents: planned and checked before anything starts, resumed where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.offline.measure import judge, make_agent, settings_of
from benchmark.offline.split import Fold, TimedRatings, folds, parse_split
from recsim_env.errors import InvalidParameter, RunFolderError
from recsim_env.files import whole


@dataclass(frozen=True)
class OfflineTest:
    """Agents over splits and seeds; what is kept of each trial is a file."""

    ratings: TimedRatings
    agents: Sequence[str]
    settings: dict[str, dict[str, Any]]  # agent -> its settings
    splits: Sequence[str]
    seeds: int
    part: str = "test"

    def check(self) -> None:
        """The error that a trial would meet: unknown agents, settings, splits; agents that do not learn from logs."""
        if self.seeds < 1:
            raise InvalidParameter(f"--seeds must be 1 or more, not {self.seeds}")
        if not self.agents or not self.splits:
            raise InvalidParameter("--agents and --splits must name one at least")
        for name, given in (("agents", self.agents), ("splits", self.splits)):
            if len(set(map(file_name, given))) < len(given):
                raise InvalidParameter(f"--{name} names one twice: {', '.join(given)}")
        for split in self.splits:
            parse_split(split)
        for agent in self.agents:
            make_agent(agent, settings_of(agent, self.settings.get(agent, {}), 0), self.ratings)

    def run(self, out: Path, tell: Callable[[str, int, int], None]) -> pd.DataFrame:
        """Do what has no file in `out` yet; all rows of all trials.

        Args:
            out: the folder; each (split, fold, seed, agent) has one file, whole or absent.
            tell: is given what is done next, and how many trials of how many are done.

        Raises:
            RunFolderError: a file there is of other settings or data.
        """
        trials = list(self._trials())
        tables = []
        for done, (fold, split, agent) in enumerate(trials):
            tell(f"{fold.name} seed {fold.seed}: {agent}", done, len(trials))
            tables.append(
                self._trial(fold, agent, out).assign(split=split, fold=fold.name, agent=agent, seed=fold.seed)
            )
        tell("done", len(trials), len(trials))
        return pd.concat(tables, ignore_index=True)

    def _trials(self) -> Iterator[tuple[Fold, str, str]]:
        for split in self.splits:
            for seed in range(self.seeds):
                for fold in folds(self.ratings, split, seed, self.part):
                    yield from ((fold, split, agent) for agent in self.agents)

    def _trial(self, fold: Fold, agent: str, out: Path) -> pd.DataFrame:
        """One file's rows, after the work if it has not been done."""
        settings = settings_of(agent, self.settings.get(agent, {}), fold.seed)
        what = {
            "agent": agent, "settings": {key: str(value) for key, value in settings.items()}, "fold": fold.name,
            "on": self.part, "data": self.ratings.fingerprint,
        }  # fmt: skip
        path = out / self.part / file_name(fold.name) / f"seed-{fold.seed}" / f"{file_name(agent)}.json"
        if not path.exists():
            began = time.monotonic()
            rows = judge(agent, settings, fold).to_dict(orient="list")
            with whole(path) as aside:
                content = {**what, "seconds": round(time.monotonic() - began, 1), "rows": rows}
                aside.write_text(json.dumps(content) + "\n", encoding="utf-8")
        return pd.DataFrame(kept(path, what))


def file_name(text: str) -> str:
    """A label or a fold's name as a file's."""
    return Path(text.replace(":", "-").replace("/", "-")).name


def kept(path: Path, what: dict[str, Any]) -> dict[str, Any]:
    """The rows and seconds of a file; `RunFolderError` where it is damaged or tells of something else than `what`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        different = [key for key, value in what.items() if content[key] != value]
        rows = {**content["rows"], "seconds": content["seconds"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); remove it, or choose another folder with --out") from None
    if different:
        key = different[0]
        raise RunFolderError(
            f"{path} is of another test ({key} was {content[key]!r}, now {what[key]!r}); remove it, or choose "
            "another folder with --out"
        )
    return rows
