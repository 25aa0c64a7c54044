"""The command `sweep`: search an agent's settings with Optuna, on validation users alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.evaluation import evaluate
from benchmark.listing import table, terminal
from benchmark.recorder import Scalars
from benchmark.run import Run, train
from benchmark.search_space import Dimension
from recsim_env.agent import agent_class
from recsim_env.errors import Diverged, InvalidParameter, RecSimError, RunFolderError
from recsim_env.files import whole
from recsim_env.parameters import hints
from recsim_env.scenario import Scenario
from recsim_env.streams import Purpose

SHOWN = 10  # trials in the table


@dataclass(frozen=True)
class Search:
    """What a trial is: an agent trained with some seeds, and evaluated on validation users.

    Attributes:
        run: the first of its runs; its `users` are validation users.
        seeds: how often each setting is trained.
        space: what is searched.
    """

    run: Run
    seeds: int
    space: Sequence[Dimension]

    def objective(self, trial: Any, scenario: Scenario) -> float:
        """Mean engagement over seeds; the first seed's curve ends trials that stay below the median of others."""
        import optuna

        chosen = {dimension.name: dimension.suggest(trial) for dimension in self.space}
        total = 0.0
        for seed in range(self.seeds):
            run = replace(self.run, settings={**self.run.settings, **chosen}, seed=seed)

            def write(scalars: Scalars, step: int, seed: int = seed) -> None:
                if seed == 0 and "eval/engagement" in scalars:
                    trial.report(scalars["eval/engagement"], step)
                    if trial.should_prune():
                        raise optuna.TrialPruned

            agent = train(run, scenario, write, lambda step, scalars: None, 0)
            purpose = Purpose.VALIDATE
            result = evaluate(agent, scenario, users=run.users, seed=seed, purpose=purpose, observe=run.observe)
            total += result.summary["engagement"]
        return total / self.seeds


def run_sweep(search: Search, trials: int, out: Path) -> None:
    """Search until `trials` trials are done or pruned, in all calls together; then print the best.

    Raises:
        RecSimError: of any kind, before anything starts; Optuna is not installed.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise RecSimError("sweep needs Optuna: pip install 'recsim-env[sweep]'") from None
    scenario, name = search.run.world(), f"{search.run.scenario} {search.run.agent}"
    search.run.config()
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(out / "study.log")))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
    )
    check_same(study, search, out)
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    while len(study.get_trials(deepcopy=False, states=states)) < trials:
        trial = study.ask()
        study.sampler = sampler_of(search.run.seed, trial.number)
        try:
            study.tell(trial, search.objective(trial, scenario))
        except (optuna.TrialPruned, Diverged) as end:
            if isinstance(end, Diverged):
                print(end, file=sys.stderr)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except BaseException:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        print_trial(study, trial.number)
    with whole(out / "trials.csv") as part:
        study.trials_dataframe(attrs=("number", "value", "params", "state", "duration")).to_csv(part, index=False)
    print_best(study, search)
    print(f"\nTable: {out}/trials.csv. The study {name!r}: {out}/study.log. More --trials go on from there.")


def sampler_of(seed: int, number: int) -> Any:
    """A trial's sampler, with luck of its own: searches beside each other number their trials together."""
    import optuna

    return optuna.samplers.TPESampler(seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


def check_same(study: Any, search: Search, out: Path) -> None:
    """Refuse to mix trials of different budgets, spaces or settings in one study."""
    told = {"run": repr(replace(search.run, seed=0)), "seeds": search.seeds, "space": repr(search.space)}
    before = study.user_attrs
    for key, value in told.items():  # another search may have begun this moment, and told a part
        if key not in before:
            study.set_user_attr(key, value)
    different = [key for key, value in told.items() if before.get(key, value) != value]
    if different:
        key = different[0]
        raise RunFolderError(
            f"{out} holds another search ({key} was {before.get(key)}, now {told[key]}); "
            f"choose another folder with --out"
        )


def print_trial(study: Any, number: int) -> None:
    """A line a trial."""
    trial = study.trials[number]
    came = f"engagement {trial.value:.1f}" if trial.state.name == "COMPLETE" else "stopped early"
    print(f"[{number + 1}] {settings_of(trial)}: {came}", flush=True)


def print_best(study: Any, search: Search) -> None:
    """The best trials, and how to use the best one."""
    done = sorted((t for t in study.trials if t.state.name == "COMPLETE"), key=lambda t: -t.value)
    made = table("", "trial", "engagement, validation users", "settings")
    for trial in done[:SHOWN]:
        made.add_row(str(trial.number + 1), f"{trial.value:.2f}", settings_of(trial))
    terminal().print(made)
    if done:
        label = "@".join([search.run.agent, *(f"{name}={value}" for name, value in done[0].params.items())])
        print(f"On users that no trial has seen: recsim-env bench {search.run.scenario} --agents {label},random")


def settings_of(trial: Any) -> str:
    """A trial's settings in a line."""
    told = ((name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in trial.params.items())
    return ", ".join(f"{name}={value}" for name, value in told)


def search_of(
    scenario: str, parameters: dict[str, Any], agent: str, settings: dict[str, Any], texts: Sequence[str],
    steps: int, seeds: int, users: int, seed: int,
) -> Search:  # fmt: skip
    """Check the words of the command line.

    Raises:
        InvalidParameter, UnknownName: what is wrong with them.
    """
    for option, value, low in (("steps", steps, 1), ("seeds", seeds, 1), ("users", users, 1), ("seed", seed, 0)):
        if value < low:
            raise InvalidParameter(f"--{option} must be {low} or more, not {value}")
    config = agent_class(agent).Config
    if not agent_class(agent).learns:
        raise InvalidParameter(f"{agent} does not learn: there is nothing to search")
    kinds = {f.name: hints(config)[f.name] for f in fields(config) if f.name != "seed"}  # type: ignore[arg-type]
    if not texts:
        raise InvalidParameter("give what to search, as --space learning_rate=1e-4:1e-2:log --space hidden=32,64")
    space = tuple(Dimension.parse(text, kinds, agent) for text in texts)
    return Search(Run(scenario, parameters, agent, settings, seed, steps, users), seeds, space)
