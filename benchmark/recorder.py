"""What the benchmark sees of a training run: it wraps the environment, so that an agent cannot misreport."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import VectorWrapper

from recsim_env.agent import check_loss
from recsim_env.wrappers import InteractionBudget

POINTS = 100  # of a curve
EVALUATIONS = 10  # on validation users, while training
RECENT = 100  # sessions that a rollout mean is over, as in Stable-Baselines3

Scalars = dict[str, float]


class Recorder(VectorWrapper):
    """Counts user-steps and writes curves, named as Stable-Baselines3 names them.

    Args:
        envs: the environment with its budget.
        write: takes a dictionary of scalars and the user-step.
        evaluate: scalars of the agent as it is now, on validation users; free of charge.
        tell: takes the user-steps so far and the latest scalars, for a progress bar.
    """

    def __init__(
        self,
        envs: InteractionBudget,
        write: Callable[[Scalars, int], None],
        evaluate: Callable[[], Scalars],
        tell: Callable[[int, Scalars], None],
    ) -> None:
        super().__init__(envs)
        self.budgeted, self.write, self.evaluate, self.tell = envs, write, evaluate, tell
        self.returns: deque[float] = deque(maxlen=RECENT)
        self.lengths: deque[float] = deque(maxlen=RECENT)
        self.measured: dict[str, list[float]] = {}
        self.latest: Scalars = {}
        self.began, self.next_point, self.next_evaluation = time.monotonic(), 0.0, 0.0

    def scalar(self, name: str, value: float) -> None:
        """The agent's log: means between two points of a curve are written. Raises `Diverged`, see `check_loss`."""
        check_loss(name, value)
        self.measured.setdefault(name, []).append(value)

    def step(self, actions: Any) -> Any:
        result = self.env.step(actions)
        info = result[4]
        if "_session" in info:
            ended = info["_session"]
            self.returns.extend(info["session"]["engagement"][ended].tolist())
            self.lengths.extend(info["session"]["length"][ended].tolist())
        if self.budgeted.spent >= self.next_evaluation:
            self.next_evaluation += self.budgeted.budget / EVALUATIONS
            self._write(self.evaluate())
        if self.budgeted.spent >= self.next_point:
            self.next_point += self.budgeted.budget / POINTS
            self._write(self._rollout())
        return result

    def finish(self) -> None:
        """Write what the agent measured after its last step, and the trained agent's evaluation."""
        self._write(self._rollout() | self.evaluate())

    def _rollout(self) -> Scalars:
        scalars = {name: float(np.mean(values)) for name, values in self.measured.items()}
        self.measured = {}
        if self.returns:
            scalars["rollout/ep_rew_mean"] = float(np.mean(self.returns))
            scalars["rollout/ep_len_mean"] = float(np.mean(self.lengths))
        scalars["time/fps"] = self.budgeted.spent / max(time.monotonic() - self.began, 1e-9)
        return scalars

    def _write(self, scalars: Scalars) -> None:
        self.latest |= scalars
        self.write(scalars, self.budgeted.spent)
        self.tell(self.budgeted.spent, self.latest)
