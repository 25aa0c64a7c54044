"""The command `evaluate`: one agent, one evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.evaluation import COLUMNS, evaluate
from benchmark.executors.cluster import Ray
from benchmark.executors.local import Local
from benchmark.run import Run, train, training_envs
from benchmark.statistics import interval
from benchmark.trained import check_origin, check_slates
from recsim_env.agent import Agent, WorldSpec, agent_class
from recsim_env.errors import AgentError, InvalidParameter
from recsim_env.parameters import build
from recsim_env.scenario import Scenario
from recsim_env.streams import Purpose
from recsim_env.trust import told_by


def find_agent(run: Run, folder: str) -> Agent:
    """The agent that was trained into a folder, or one by name, trained where it learns.

    Raises:
        AgentError: the folder holds no agent of a run, or one that was trained in another world.
        InvalidParameter: an agent that learns, without steps to train it; or steps where nothing is trained.
    """
    scenario = run.world()
    if folder:
        if run.steps or run.settings:
            raise InvalidParameter(f"{folder} is trained already: --steps and --set AGENT.key do not apply")
        return saved_agent(run, scenario, Path(folder))
    learns = agent_class(run.agent).learns
    if learns and not run.steps:
        raise InvalidParameter(
            f"{run.agent} learns: give --steps N to train it first, or --agent RUN/agent of a finished run"
        )
    if run.steps and not learns:
        raise InvalidParameter(f"{run.agent} does not learn: --steps does not apply")
    return train(run, scenario, lambda scalars, step: None, lambda step, scalars: None, 0)


def saved_agent(run: Run, scenario: Scenario, folder: Path) -> Agent:
    """The agent of a folder, with the settings that it was trained with.

    Raises:
        AgentError: see `find_agent`.
    """
    kind = agent_class(run.agent)
    check_origin(kind, scenario, folder)
    try:
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AgentError(f"{folder} holds no {run.agent} that can be read: {error}") from None
    config = build(kind.Config, settings, f"agent {run.agent}")
    envs = training_envs(kind, config, scenario, 0, 0, run.observe)
    agent = kind.load(folder, WorldSpec.of(envs))
    if kind.learns:  # else nothing was learnt elsewhere, and an answer may cost, as of a chat model
        check_slates(agent, envs, folder)
    return agent


def name_and_folder(agent: str) -> tuple[str, str]:
    """An agent's name, and the folder of a trained one or ""; raises `AgentError` where the folder holds none."""
    return (agent_of_folder(Path(agent)), agent) if Path(agent).is_dir() else (agent, "")


def agent_of_folder(folder: Path) -> str:
    """The name of the agent whose run wrote `folder`.

    Raises:
        AgentError: no run did. UntrustedCode: the agent's class is in a file; see `recsim_env.trust`.
    """
    path = folder.parent / "run.json"
    try:
        name = str(json.loads(path.read_text(encoding="utf-8"))["agent"])
    except (OSError, ValueError, KeyError, TypeError):
        raise AgentError(f"{folder} is not the agent folder of a run: there is no run.json beside it") from None
    with told_by(path):
        agent_class(name)
    return name


def told(run: Run, table: pd.DataFrame) -> dict[str, Any]:
    """The evaluation as it is printed; intervals are over users."""
    low, high = interval(table["engagement"].to_numpy())
    ci95 = [low, high] if len(table) > 1 else [None, None]
    measures = table.columns.drop(COLUMNS)
    return {
        "scenario": run.scenario,
        "agent": run.agent,
        "users": len(table),
        "engagement": {"mean": float(table["engagement"].mean()), "ci95": ci95},
        "length": {"mean": float(table["length"].mean())},
        "click_rate": {"mean": float(table["clicks"].sum() / table["length"].sum())},
        **({"measures": {name: float(table[name].mean()) for name in measures}} if len(measures) else {}),
    }


def evaluate_one(
    scenario: str, agent: str, parameters: dict[str, Any], settings: dict[str, Any],
    users: int, seed: int, steps: int, observe: str, executor: Local | Ray, *, as_json: bool,
) -> None:  # fmt: skip
    """Evaluate and print; of a persistent population the known people, with the new ones beside them."""
    for option, value, low in (("users", users, 1), ("seed", seed, 0), ("steps", steps, 0)):
        if value < low:
            raise InvalidParameter(f"--{option} must be {low} or more, not {value}")
    name, folder = name_and_folder(agent)
    run = Run(scenario, parameters, name, settings, seed, steps, users, observe)
    made = find_agent(run, folder)
    if isinstance(executor, Ray):
        table = executor.evaluate(made, run).table
    else:
        table = evaluate(made, run.world(), users=users, seed=seed, purpose=Purpose.TEST, observe=observe).table
    groups = [str(group) for group in table["people"].unique()]
    result = told(run, table[table["people"] == groups[0]])
    if len(groups) > 1:
        result |= {"people": groups[0], "new_people": told(run, table[table["people"] == groups[1]])}
    if as_json:
        print(json.dumps(result))
        return
    low, high = result["engagement"]["ci95"]
    span = f" (95 % interval over users {low:.2f} to {high:.2f})" if low is not None else ""
    print(f"{name} in {scenario}, {users} users: engagement {result['engagement']['mean']:.2f}{span}, "
          f"length {result['length']['mean']:.1f}, {result['click_rate']['mean']:.3f} clicks a step")  # fmt: skip
    if "measures" in result:
        print("at the session's end: " + ", ".join(f"{what} {mean:.3f}" for what, mean in result["measures"].items()))
