"""One run: an agent trained with one seed and evaluated; its folder is whole or absent."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.curves import tell_layout, tell_settings, tell_users
from benchmark.evaluation import evaluate, options_of, peoples
from benchmark.recorder import Recorder, Scalars
from benchmark.trained import check_origin
from benchmark.validation import Validation
from recsim_env.agent import Agent, WorldSpec, agent_class, split_label
from recsim_env.env import RecVectorEnv
from recsim_env.files import remove
from recsim_env.parameters import build
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from recsim_env.wrappers import InteractionBudget

Tell = Callable[[int, Scalars], None]


@dataclass(frozen=True)
class Run:
    """What one run is, in plain values that fit in a file."""

    scenario: str
    parameters: dict[str, Any]
    agent: str
    settings: dict[str, Any]
    seed: int
    steps: int
    users: int  # to evaluate on
    observe: str = "partial"  # what agents see of users, but those that need the hidden state

    def folder(self, out: Path) -> Path:
        """runs/NAME/SCENARIO/AGENT/seed-K."""
        scenario, agent = (Path(text.replace(":", "-")).name for text in (self.scenario, self.agent))
        return out / scenario / agent / f"seed-{self.seed}"

    def world(self) -> Scenario:
        """The scenario it plays in."""
        return find_world(self.scenario).make(**self.parameters)

    def config(self) -> Any:
        """The agent's settings, its seed among them."""
        settings = {"seed": self.seed, **split_label(self.agent)[1], **self.settings}
        return build(agent_class(self.agent).Config, settings, f"agent {self.agent}")


def aside(folder: Path) -> Path:
    """Where a run is written until it is whole; TensorBoard can watch it there."""
    return folder.with_name(folder.name + ".part")


def training_envs(
    agent: type[Agent], config: Any, scenario: Scenario, seed: int, threads: int, observe: str = "partial"
) -> RecVectorEnv:
    """Users to train on; of a persistent population the known people."""
    options = Options(purpose=Purpose.TRAIN, threads=threads, **options_of(agent, config, observe))
    envs = RecVectorEnv(peoples(scenario)[0][1], config.users, options)
    envs.reset(seed=seed)
    return envs


def watched_by(run: Run) -> dict[str, Any]:
    """What the run's agent is shown: its options of the environment."""
    return options_of(agent_class(run.agent), run.config(), run.observe)


def load(run: Run, scenario: Scenario, folder: Path) -> Agent:
    """A run's trained agent, from the folder that it was saved to.

    Raises:
        AgentError: there is none, or it is of another world.
    """
    kind, config = agent_class(run.agent), run.config()
    check_origin(kind, scenario, folder)
    return kind.load(folder, WorldSpec.of(training_envs(kind, config, scenario, 0, 1, run.observe)))


def train(run: Run, scenario: Scenario, write: Callable[[Scalars, int], None], tell: Tell, threads: int) -> Agent:
    """The run's agent after its budget; what does not learn is ready at once."""
    kind, config = agent_class(run.agent), run.config()
    envs = training_envs(kind, config, scenario, run.seed, threads, run.observe)
    agent = kind(config, WorldSpec.of(envs))
    if not kind.learns:
        return agent

    validate = Validation(peoples(scenario)[0][1], watched_by(run), run.seed, threads)
    recorder = Recorder(InteractionBudget(envs, run.steps), write, lambda: validate(agent), tell)
    agent.train(recorder, run.steps, recorder)
    recorder.finish()
    return agent


@contextmanager
def counted_updates() -> Iterator[Callable[[], int]]:
    """Tells the steps of torch's optimisers in the block so far.

    By their own count, where they keep one: what is replayed as a CUDA graph calls no hook.
    """
    import torch.optim.optimizer as torch_optimizer

    called: Counter[Any] = Counter()
    before: dict[Any, int] = {}

    def add(optimizer: Any, args: Any, kwargs: Any) -> None:
        if optimizer not in called:
            before[optimizer] = own_count(optimizer) - 1
        called[optimizer] += 1

    handle = torch_optimizer.register_optimizer_step_post_hook(add)
    try:
        yield lambda: sum(max(calls, own_count(one) - before[one]) for one, calls in called.items())
    finally:
        handle.remove()


def own_count(optimizer: Any) -> int:
    """The steps that an optimiser counted itself, 0 where it counts none."""
    return next((int(state["step"]) for state in optimizer.state.values() if "step" in state), 0)


def execute(run: Run, out: Path, tell: Tell, threads: int = 0) -> None:
    """Train, evaluate on test users, and leave the run's folder: run.json, agent/, evaluation.parquet, curves.

    run.json also tells the seconds of training, its validations included, by the clock and of the processor, and the
    optimiser's steps.
    """
    from torch.utils.tensorboard import SummaryWriter

    folder = run.folder(out)
    part = aside(folder)
    remove(part)
    part.mkdir(parents=True)
    scenario = run.world()
    with SummaryWriter(str(part)) as writer:
        tell_layout(writer)

        def write(scalars: Scalars, step: int) -> None:
            for name, value in scalars.items():
                writer.add_scalar(name, value, step)

        with counted_updates() as updates:
            began, busy = time.monotonic(), time.process_time()
            agent = train(run, scenario, write, tell, threads)
            spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - busy}
            spent["updates"] = updates()
        agent.save(part / "agent")
        result = evaluate(
            agent, scenario, users=run.users, seed=run.seed, purpose=Purpose.TEST, threads=threads, observe=run.observe
        )
        if not type(agent).learns:  # a level line beside the curves of those that learn
            points = Validation(peoples(scenario)[0][1], watched_by(run), run.seed, threads)(agent)
            for step in (0, run.steps):
                write(points, step)
        tell_settings(writer, run, result)
        tell_users(writer, run, result)
    result.table.assign(agent=run.agent).to_parquet(part / "evaluation.parquet", index=False)
    result.items.assign(agent=run.agent, seed=run.seed).to_parquet(part / "items.parquet", index=False)
    (part / "run.json").write_text(json.dumps(asdict(run) | spent, indent=1) + "\n", encoding="utf-8")
    part.rename(folder)
    tell(run.steps, {"eval/engagement": result.summary["engagement"]})
