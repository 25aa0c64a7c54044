"""One run: an agent trained with one seed and evaluated; its folder is whole or absent."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.curves import tell_layout, tell_settings, tell_users
from benchmark.evaluation import evaluate, options_of, peoples
from benchmark.recorder import Recorder, Scalars
from benchmark.trained import check_origin
from benchmark.validation import Validation
from recsim_env.agent import Agent, WorldSpec, agent_class, split_label
from recsim_env.env import RecVectorEnv
from recsim_env.errors import Diverged, RewardError, RunFolderError
from recsim_env.files import remove
from recsim_env.parameters import build
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from recsim_env.wrappers import InteractionBudget

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Tell = Callable[[int, Scalars], None]
FAILED = "failed.json"


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
    """The run's agent after its budget; what does not learn is ready at once.

    Raises:
        Diverged: with agent, seed, update and advice.
    """
    kind, config = agent_class(run.agent), run.config()
    envs = training_envs(kind, config, scenario, run.seed, threads, run.observe)
    agent = kind(config, WorldSpec.of(envs))
    if not kind.learns:
        return agent

    validate = Validation(peoples(scenario)[0][1], watched_by(run), run.seed, threads)
    recorder = Recorder(InteractionBudget(envs, run.steps), write, lambda: validate(agent), tell)
    with counted_updates() as updates:
        try:
            agent.train(recorder, run.steps, recorder)
            check_learnt(agent)
            recorder.finish()
        except Diverged as error:
            raise diverged(run, updates(), recorder.budgeted.spent, error) from error
    return agent


def check_learnt(agent: Agent) -> None:
    """Raise `Diverged` where some of an array that an agent learnt is NaN; single numbers may say "not known"."""
    for name, values in agent.arrays().items():
        if values.ndim and values.dtype.kind == "f" and np.isnan(values).any():
            raise Diverged(f"{name}, which it learnt, is NaN")


def diverged(run: Run, updates: int, steps: int, error: Diverged) -> Diverged:
    """The error with whose it is, when it came, and what to do."""
    rate = getattr(run.config(), "learning_rate", None)
    advice = f"set a learning_rate smaller than {rate:g}" if rate else "choose other settings"
    return Diverged(
        f"{run.agent} seed {run.seed} diverged, after {updates:,} updates and {steps:,} user-steps: {error}; {advice}"
    )


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
    optimiser's steps. A run that fails by its agent's or its world's numbers leaves run.json, its curves and the reason
    in `FAILED`; it would fail again.
    """
    from torch.utils.tensorboard import SummaryWriter

    folder = run.folder(out)
    part = aside(folder)
    remove(part)
    part.mkdir(parents=True)
    with SummaryWriter(str(part)) as writer:
        tell_layout(writer)
        try:
            spent = measure(run, part, writer, tell, threads)
        except (Diverged, RewardError) as error:
            spent = {}
            (part / FAILED).write_text(json.dumps({"failed": str(error)}, indent=1) + "\n", encoding="utf-8")
    (part / "run.json").write_text(json.dumps(asdict(run) | spent, indent=1) + "\n", encoding="utf-8")
    part.rename(folder)


def failure_of(folder: Path) -> str:
    """Why a run failed; empty where it did not, or where it has not been executed."""
    path = folder / FAILED
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["failed"]) if path.exists() else ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); remove {folder} and run the same bench again") from None


def measure(run: Run, part: Path, writer: SummaryWriter, tell: Tell, threads: int) -> dict[str, float]:
    """Train and evaluate, and write all but run.json; gives what the training took."""
    scenario = run.world()

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
    tell(run.steps, {"eval/engagement": result.summary["engagement"]})
    return spent
