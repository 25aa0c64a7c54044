"""The command `fit`: a scenario's parameters from a log, as a preset, and whether they reproduce it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmark.behaviour import ready_agent
from benchmark.evaluation import options_of
from benchmark.listing import table, terminal
from recsim_env.errors import DataError, InvalidParameter
from recsim_env.files import check_place, whole
from recsim_env.fitting.checking import Line
from recsim_env.fitting.estimates import Estimate
from recsim_env.fitting.fit import Fit, fit
from recsim_env.fitting.search import Tell
from recsim_env.fitting.sessions import check_world, is_random, take
from recsim_env.fitting.simulate import RANDOM, Behaviour
from recsim_env.log_checks import check_seen
from recsim_env.logs import Interactions
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario

WIDTH = 132  # of the tables where no terminal says
SAMPLE = 500  # logged slates that are held against the named agent's


@contextmanager
def progress() -> Iterator[Tell]:
    """A bar on a terminal; elsewhere a line for each thing that is done."""
    live, began, last = sys.stdout.isatty(), time.monotonic(), [""]
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    bars = Progress(*columns, TimeElapsedColumn(), disable=not live)
    task = bars.add_task("", total=1.0)

    def tell(what: str, share: float) -> None:
        bars.update(task, description=what, completed=share)
        if not live and what != last[0]:
            print(f"{time.monotonic() - began:5.0f} s  {what}", flush=True)
            last[0] = what

    with bars:
        yield tell


def behaviour_of(
    log: Interactions, world: Scenario, scenario: str, parameters: dict[str, Any], agent: str | None
) -> Behaviour:
    """How the log's slates were chosen.

    Raises:
        DataError: they are not random and no agent is named, or not the named agent's.
    """
    random = is_random(log, world)
    if agent in (None, "random"):
        if not random:
            raise DataError(
                "the log's slates were not drawn at random, so the agent that showed them must be named: --agent NAME "
                "or RUN/agent; or log random ones: recsim-env collect SCENARIO --agent random"
            )
        return RANDOM
    policy = ready_agent(scenario, parameters, str(agent), {}, 0)
    sample = take(log, np.arange(min(SAMPLE, len(log))))
    check_seen(sample, policy.agent.spec.observation_space, policy.name)
    told = policy.propensities(dict(sample.observations), sample.slates)
    if random or not np.allclose(told, sample.place_propensities):
        raise DataError(
            f"the log's slates are not those that {policy.name} shows: name the agent that did with --agent"
        )
    return Behaviour(policy.name, policy.act, options_of(type(policy.agent), policy.agent.config, "partial"))


def run_fit(
    logs: Path, scenario: str, parameters: dict[str, Any], chosen: Sequence[str], agent: str | None, out: Path | None,
    seed: int, held_out: float, draws: int,
) -> None:  # fmt: skip
    """Fit, print, and write the preset.

    Raises:
        RecSimError: of any kind; nothing is written.
    """
    if out is not None and out.suffix not in (".yaml", ".yml"):
        raise InvalidParameter(f"--out must end in .yaml, by which a world's file is known, not {str(out)!r}")
    if out is not None:
        check_place(out)
    world = find_world(scenario).make(**parameters)
    log = Interactions.from_parquet(logs)
    check_world(log, world)
    behaviour, began = behaviour_of(log, world, scenario, parameters, agent), time.monotonic()
    try:
        with progress() as tell:
            found = fit(
                world, log, parameters=chosen, behaviour=behaviour, seed=seed, held_out=held_out, draws=draws, tell=tell
            )
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        raise
    print_fit(found, f"{scenario} from {logs.name}", time.monotonic() - began)
    if out is not None:
        write_preset(out, found, scenario, parameters, logs, behaviour)
        print(
            f"\n{out}: a preset with these parameters; use it as a scenario, recsim-env evaluate {out} --agent random"
        )


def number(value: float) -> str:
    return f"{value:.4g}"


def print_fit(found: Fit, title: str, seconds: float) -> None:
    """The tables of estimates and of the check."""
    console = terminal(WIDTH)
    console.print(
        f"{title}: {found.sessions:,} sessions fitted, {found.held_out:,} held out, {seconds:.0f} s", highlight=False
    )
    made = table("Parameters", "parameter", "given", "estimate", "standard error", "95 % interval", "by", "note")
    for e in found.estimates:
        made.add_row(*estimate_cells(e))
    console.print(made)
    if found.freedom:
        told = f"Distance of the moments: {found.distance:.0f}, where a right world has about {found.freedom}."
        console.print(told, style="dim", highlight=False)
    checked = table("Held-out sessions", "statistic", "observed", "predicted", "95 % interval", "z", "verdict")
    for line in found.lines:
        checked.add_row(*line_cells(line))
    console.print(checked)
    wrong = sum(not line.reproduced for line in found.lines)
    chance = "an interval is for its line alone, the verdict for all together: chance breaks one or more in 5 % of fits"
    told = f"{len(found.lines) - wrong} of {len(found.lines)} are reproduced ({chance})."
    more = " Where they are not, users of this world do not behave as the log's." if wrong else ""
    console.print(told + more, style="yellow" if wrong else "dim", highlight=False)


def estimate_cells(e: Estimate) -> list[str]:
    whole_number = e.how == "moments" and e.error == 0.0
    error = "" if whole_number else "not told" if np.isinf(e.error) else number(e.error)
    given, value = (f"{v:g}" if whole_number else number(v) for v in (e.given, e.value))
    return [e.name, given, value, error, f"{number(e.low)} to {number(e.high)}", e.how, e.note]


def line_cells(line: Line) -> list[str]:
    verdict = "reproduced" if line.reproduced else "NOT reproduced"
    interval = f"{number(line.low)} to {number(line.high)}"
    return [line.name, number(line.observed), number(line.predicted), interval, f"{line.z:+.1f}", verdict]


def write_preset(
    out: Path, found: Fit, scenario: str, parameters: dict[str, Any], logs: Path, behaviour: Behaviour
) -> None:
    """A scenario file with what was given and what was estimated; it is whole or absent."""
    values: dict[str, Any] = {name: plain(getattr(found.scenario, name)) for name in parameters}
    values |= {e.name: plain(getattr(found.scenario, e.name)) for e in found.estimates}
    count = found.sessions + found.held_out
    ways = "; ".join(
        f"{', '.join(e.name for e in found.estimates if e.how == how)} by {how}"
        for how in ("choices", "moments")
        if any(e.how == how for e in found.estimates)
    )
    description = f"Fitted to {count} sessions of {logs.name}, slates by {behaviour.name}: {ways}"
    content = {"scenario": scenario, "description": description, "parameters": values}
    with whole(out) as aside:
        aside.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")


def plain(value: Any) -> Any:
    """A parameter's value as YAML holds it; enums by name, numbers to 6 digits."""
    if hasattr(value, "name"):
        return value.name.lower()
    return float(f"{value:.6g}") if isinstance(value, float) else value
