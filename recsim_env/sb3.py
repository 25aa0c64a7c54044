"""The vector environment that Stable-Baselines3 wants; it refuses Gymnasium's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from recsim_env.env import RecVectorEnv
from recsim_env.errors import InvalidParameter
from recsim_env.wrappers import flat_space, flatten


class SB3VecEnv(VecEnv):
    """`envs` for Stable-Baselines3, with flat observations.

    A truncated session is told by `TimeLimit.truncated` and its last observation by `terminal_observation`,
    so that algorithms bootstrap there; an ended session's `episode` holds its engagement and length.
    """

    def __init__(self, envs: RecVectorEnv) -> None:
        self.envs = envs
        self.parts: spaces.Dict = envs.single_observation_space  # type: ignore[assignment]
        super().__init__(envs.num_envs, flat_space(self.parts), envs.single_action_space)
        self._actions = np.zeros(0)
        self._seed: int | None = None

    def reset(self) -> np.ndarray:
        observation, _ = self.envs.reset(seed=self._seed)
        self._seed = None
        return flatten(self.parts, observation, 1)

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observation, rewards, terminated, truncated, info = self.envs.step(self._actions)
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(ended):
            session = info["session"]
            infos[i] = {
                "terminal_observation": flatten(self.parts, info["final_obs"][i], 0),
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                "episode": {"r": float(session["engagement"][i]), "l": int(session["length"][i])},
            }
        return flatten(self.parts, observation, 1), rewards.astype(np.float32), ended, infos

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """The next reset starts session 0 of this seed's users."""
        self._seed = seed
        return [seed] * self.num_envs

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.envs, attr_name)] * self._count(indices)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise InvalidParameter(f"the users share one world: cannot set {attr_name!r} of some; make another environment")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """A method's result for each user; of `action_masks` each user's row."""
        result = getattr(self.envs, method_name)(*args, **kwargs)
        if method_name == "action_masks":
            return list(result if indices is None else result[self._get_indices(indices)])
        return [result] * self._count(indices)

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        return [False] * self._count(indices)

    def _count(self, indices: Any) -> int:
        if indices is None:
            return self.num_envs
        return len(list(indices)) if isinstance(indices, Iterable) else 1
