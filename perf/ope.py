"""How good off-policy estimates are, over many logs: the table of docs/off-policy.md.

    python perf/ope.py [--logs 100] [--sessions 20000] [--horizons 5 60] [--out runs/ope]

interest_evolution with a slate of 1 of 10 candidates; random slates are logged, and mixtures with a lin_ucb that was
trained for 20,000 user-steps are evaluated. The truth is the mean of 200,000 simulated users. Each log's estimates are
kept in --out, so that the command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from agents.random_slates import RandomSlates
from agents.torch_tools import one_thread
from benchmark.evaluation import options_of
from benchmark.first_sessions import first_sessions_of
from benchmark.ope.evaluation import LoggedSessions
from benchmark.ope.target import Target
from benchmark.ope.truth import true_return
from benchmark.run import Run
from benchmark.single import find_agent
from recsim_env.agent import Agent, AgentConfig
from recsim_env.files import whole
from recsim_env.fitting.sessions import first_sessions
from recsim_env.resources import usable_cores

RUN = Run("interest_evolution", {"num_candidates": 10, "slate_size": 1}, "lin_ucb", {}, 0, 20_000, 1)
GREEDY, TRUTH = (0.1, 0.3, 1.0), 200_000
COLUMNS = ["horizon", "greedy", "estimator", "seed", "value", "low", "high", "sample_size"]


@cache
def agent() -> Agent:
    """The same in every process: training is repeatable."""
    return find_agent(RUN, "")


def options() -> dict[str, Any]:
    """What it sees."""
    return options_of(type(agent()), agent().config, "partial")


def estimates_of(seed: int, sessions: int, horizon: int, out: Path) -> pd.DataFrame:
    """Every estimate from one log: kept ones, or new ones that are kept then."""
    path = out / f"{sessions}-sessions-{horizon}-steps-{seed}.csv"
    if not path.exists():
        with one_thread():
            table = pd.DataFrame(rows_of_log(seed, sessions, horizon), columns=COLUMNS)
        with whole(path) as part:
            table.to_csv(part, index=False)
    return pd.read_csv(path)


def rows_of_log(seed: int, sessions: int, horizon: int) -> Iterator[tuple[Any, ...]]:
    """A row a mixture and estimator."""
    behaviour = RandomSlates(AgentConfig(), agent().spec)
    log = first_sessions_of(RUN.world(), behaviour, options(), sessions, seed, horizon)
    logged = LoggedSessions(first_sessions(log, RUN.world()), agent(), horizon, seed)
    for greedy in GREEDY:
        for name, one in logged.estimates(greedy).items():
            yield horizon, greedy, name, seed, one.value, one.low, one.high, one.sample_size


def measured(logs: int, sessions: int, horizons: list[int], out: Path) -> Iterator[pd.DataFrame]:
    """Every estimate from every log, as they come."""
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(usable_cores(), get_context("spawn")) as pool:
        work = [pool.submit(estimates_of, seed, sessions, horizon, out) for horizon in horizons for seed in range(logs)]
        for k, future in enumerate(work, start=1):
            yield future.result()
            print(f"[{k}/{len(work)}] logs", flush=True)


def main() -> None:
    """Print a row an estimator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--horizons", type=int, nargs="+", default=[5, 60])
    parser.add_argument("--out", type=Path, default=Path("runs/ope"))
    asked = parser.parse_args()
    table = pd.concat(measured(asked.logs, asked.sessions, asked.horizons, asked.out), ignore_index=True)
    print("\n| horizon | greedy | truth | estimator | bias | root mean square error | coverage | effective sessions |")
    print("|---|---|---|---|---|---|---|---|")
    for (horizon, greedy), group in table.groupby(["horizon", "greedy"]):
        truth = true_return(Target(agent(), greedy), RUN.world(), options(), horizon, TRUTH, seed=0).value
        for name, own in group.groupby("estimator", sort=False):
            error = own["value"] - truth
            covered = ((own["low"] <= truth) & (truth <= own["high"])).mean()
            print(
                f"| {horizon} | {100 * greedy:.0f} % | {truth:.2f} | {name} | {error.mean():+.2f} | "
                f"{(error**2).mean() ** 0.5:.2f} | {100 * covered:.0f} % | {own['sample_size'].median():,.0f} |"
            )


if __name__ == "__main__":
    main()
