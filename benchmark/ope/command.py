"""The command `ope`: estimates from a log, beside what the simulator says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.behaviour import ready_agent
from benchmark.evaluation import options_of
from benchmark.listing import table, terminal
from benchmark.ope.estimators import TRUSTED, Estimate
from benchmark.ope.evaluation import LoggedSessions
from benchmark.ope.target import Target
from benchmark.ope.truth import true_return
from recsim_env.errors import InvalidParameter
from recsim_env.fitting.sessions import first_sessions
from recsim_env.log_checks import check_seen
from recsim_env.logs import Interactions
from recsim_env.registration import find_world


def run_ope(
    logs: Path,
    scenario: str,
    parameters: dict[str, Any],
    agent: str,
    greedy: float,
    horizon: int,
    truth: int,
    seed: int,
) -> None:
    """Read, estimate and print.

    Raises:
        RecSimError: of any kind; `DataError` where the log is of another world, or lacks what the agent sees.
    """
    for option, value, low in (("horizon", horizon, 1), ("truth", truth, 0), ("seed", seed, 0)):
        if value < low:
            raise InvalidParameter(f"--{option} must be {low} or more, not {value}")
    ready = ready_agent(scenario, parameters, agent, {}, 0)
    target, world = Target(ready.agent, greedy), find_world(scenario).make(**parameters)
    sessions = first_sessions(Interactions.from_parquet(logs), world)
    check_seen(sessions.log, ready.agent.spec.observation_space, ready.name)
    if horizon > sessions.cut:
        raise InvalidParameter(
            f"--horizon {horizon}: the log's sessions are cut at {sessions.cut} steps; ask for fewer"
        )
    logged = LoggedSessions(sessions, ready.agent, horizon, seed)
    estimates, real = logged.estimates(greedy), None
    if truth:
        options = options_of(type(ready.agent), ready.agent.config, "partial")
        real = true_return(target, world, options, horizon, truth, seed)
    name = f"{ready.name} at {100 * greedy:g} % of the steps, random slates at the others"
    print(f"{name}: reward of a session's first {horizon} steps, from {len(sessions):,} logged sessions")
    print(f"logged: {logged.rewards.sum(axis=1).mean():.3f} on average")
    print_estimates(estimates, real)


def print_estimates(estimates: Mapping[str, Estimate], real: Estimate | None) -> None:
    """A row an estimator, and what not to trust."""
    made = table("", "estimator", "estimate", "95 % interval", "error", "effective sessions")
    for name, one in estimates.items():
        error = f"{one.value - real.value:+.3f}" if real else ""
        size = f"{one.sample_size:,.0f}" + ("" if one.trusted else " *")
        made.add_row(name, f"{one.value:.3f}", f"{one.low:.3f} to {one.high:.3f}", error, size)
    terminal().print(made)
    if real:
        print(f"The truth: {real.value:.3f} ({real.low:.3f} to {real.high:.3f}), from the simulator.")
    doubtful = [name for name, one in estimates.items() if not one.trusted]
    if doubtful:
        print(
            f"* Not to be trusted: {', '.join(doubtful)}. Their weights are worth fewer than {TRUSTED:.0f} sessions; "
            "log more, or ask for a policy nearer to the logged one or a shorter horizon."
        )
    print("The direct method's interval does not know its model's error.")
