"""The vector environment that Stable-Baselines3 wants; it refuses Gymnasium's own."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from stable_baselines3.common.vec_env import VecEnv

from recsim_env.env import RecVectorEnv, as_seed, refuse_options
from recsim_env.errors import InvalidAction, InvalidParameter
from recsim_env.render import render_user
from recsim_env.wrappers import FlatVectorObservation, attribute_of

OF_ONE = {"observation_space": "single_observation_space", "action_space": "single_action_space"}


class SB3VecEnv(VecEnv):
    """`envs` for Stable-Baselines3, with flat observations.

    A truncated session is told by `TimeLimit.truncated` and its last observation by `terminal_observation`,
    so that algorithms bootstrap there; an ended session's `episode` holds its engagement and length.
    """

    def __init__(self, envs: RecVectorEnv) -> None:
        self.envs, self.flat = envs, FlatVectorObservation(envs)
        super().__init__(envs.num_envs, self.flat.single_observation_space, envs.single_action_space)
        self.metadata = dict(envs.metadata)  # with the pictures a second of a film
        self._actions: np.ndarray | None = None  # None: no step is under way
        self._seed: int | None = None

    def reset(self) -> np.ndarray:
        self._actions = None
        rows: np.ndarray = self.flat.reset(seed=self._seed)[0]
        self._seed = None
        return rows

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """What the step of the last `step_async` gave; raises `InvalidAction` where none is under way."""
        if self._actions is None:
            raise InvalidAction("no step is under way: call step_async(actions) before step_wait()")
        actions, self._actions = self._actions, None
        rows, rewards, terminated, truncated, info = self.flat.step(actions)
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(ended):
            session = info["session"]
            infos[i] = {
                "terminal_observation": info["final_obs"][i],
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                "episode": {"r": float(session["engagement"][i]), "l": int(session["length"][i])},
            }
        return rows, rewards.astype(np.float32), ended, infos

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """The next reset starts session 0 of this seed's users; of a new seed's where none is given.

        Raises:
            InvalidParameter: the seed is no whole number from 0.
        """
        seed = as_seed(seed)
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        return [self._seed] * self.num_envs

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """A reset has no options: anything but none is refused with `InvalidParameter`."""
        for given in options if isinstance(options, list) else [options]:
            refuse_options(given)

    def close(self) -> None:
        self.envs.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture (H, W, 3) of each of the first nine users; None for each, with a warning, without rgb_array."""
        if self.render_mode != "rgb_array":
            warnings.warn(
                f"there are no pictures with render_mode {self.render_mode!r}: pass 'rgb_array'", stacklevel=2
            )
            return [None] * self.num_envs
        return list(self.envs.render() or ())

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute that the users share, once for each of them; of a space that of one user."""
        value = attribute_of(self.envs, OF_ONE.get(attr_name, attr_name))
        return [value for _ in self._places(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise InvalidParameter(f"the users share one world: cannot set {attr_name!r} of some; make another environment")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """A method's result for each user: of `action_masks` their row, of `render` their text or picture.

        Any other is called once for all users, and its result stands once for each.

        Raises:
            InvalidParameter: `indices` leaves users out, whom another method would change or tell of as well.
        """
        places = self._places(indices)
        if method_name == "render" and self.render_mode is not None:
            simulator = attribute_of(self.envs, "simulator")
            return [render_user(simulator, i, self.render_mode) for i in places]
        method = attribute_of(self.envs, method_name)
        if method_name == "action_masks":
            return list(method(*args, **kwargs)[places])
        if len(set(places)) < self.num_envs:
            raise InvalidParameter(f"the users share one world: cannot call {method_name!r} of some; leave indices out")
        return [method(*args, **kwargs)] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """Whether the users stand in a wrapper of this class, which only a vector wrapper can be."""
        envs: VectorEnv[Any, Any, Any] = self.envs
        found = False
        while isinstance(envs, VectorWrapper):
            found, envs = found or isinstance(envs, wrapper_class), envs.env
        return [found for _ in self._places(indices)]

    def _places(self, indices: Any) -> list[int]:
        """The users that `indices` names: all (None), one or several; raises IndexError as a list does."""
        if indices is None:
            return list(range(self.num_envs))
        named = list(indices) if isinstance(indices, Iterable) else [indices]
        return [range(self.num_envs)[i] for i in named]
