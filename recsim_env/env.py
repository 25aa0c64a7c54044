"""The environments: `RecEnv` for one user, `RecVectorEnv` for many; both are thin covers of the simulator."""

from __future__ import annotations

import copy
import operator
from functools import cached_property
from typing import Any, ClassVar, Self

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete, MultiDiscrete, Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from recsim_env.errors import InvalidAction, InvalidParameter
from recsim_env.render import render_user
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator, as_array
from recsim_env.snapshot import Snapshot, restore, snapshot_of

Observation = dict[str, np.ndarray]
RENDER_MODES = ["ansi", "rgb_array"]


def slate_space(scenario: Scenario) -> Space[Any]:
    """A slate of positions; a slate of one is a single position."""
    if scenario.slate_size == 1:
        return Discrete(scenario.num_candidates)
    return MultiDiscrete([scenario.num_candidates] * scenario.slate_size)


def as_seed(seed: Any) -> int | None:
    """`seed` as a whole number or None.

    Raises:
        InvalidParameter: it is neither, or negative.
    """
    try:
        number = None if seed is None else operator.index(seed)
    except TypeError:
        raise InvalidParameter(f"seed must be one whole number or None, not {seed!r}") from None
    if number is not None and number < 0:
        raise InvalidParameter(f"seed must be 0 or more, not {number}")
    return number


def refuse_options(options: dict[str, Any] | None) -> None:
    """A reset has no options; one that is given would be ignored, so it is refused."""
    if options:
        raise InvalidParameter(f"reset takes no options, not {options!r}; parameters are given when the world is made")


def check_render_mode(mode: str | None) -> str | None:
    if mode is not None and mode not in RENDER_MODES:
        raise InvalidParameter(
            f"render_mode must be one of {', '.join(RENDER_MODES)}, not {mode!r} (gymnasium.make also gives 'human' "
            "and what ends in '_list', by wrappers for one user; gymnasium.make_vec has none)"
        )
    return mode


def allowed_slates(observation: Observation, slate_size: int) -> np.ndarray:
    """(n, S x C) bool: which positions each place may take, as sb3-contrib's maskable agents want it."""
    return np.tile(observation["mask"] > 0, (1, slate_size))


def action_masks(observation: Observation, users: int, scenario: Scenario, begun: bool) -> np.ndarray:
    """`allowed_slates` of (n, ...) observations; all True in a world without a mask.

    Raises:
        ResetNeeded: no session has begun.
    """
    if not begun:
        raise ResetNeeded("no session has begun, so no candidates are on offer: call reset() first")
    if "mask" not in observation:
        return np.ones((users, scenario.slate_size * scenario.num_candidates), bool)
    return allowed_slates(observation, scenario.slate_size)


class Copied:
    """A base of environments: a copy has users of its own, who go on as the others would."""

    def __copy__(self) -> Self:
        return copy.deepcopy(self)


class RecEnv(Copied, gymnasium.Env[Observation, Any]):
    """One simulated user.

    `reset(seed=s)` starts session 0 of the seed's user, a bare `reset()` that user's next session.

    Args:
        scenario: the world.
        options: how it is watched and run.
        render_mode: "ansi" or "rgb_array".
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 4}

    def __init__(self, scenario: Scenario, options: Options | None = None, render_mode: str | None = None) -> None:
        self.render_mode = check_render_mode(render_mode)
        self.scenario, self.options = scenario, options or Options()
        self.simulator = Simulator(scenario, 1, self.options, autoreset=False)
        self.observation_space: spaces.Dict = self.simulator.layout.space()  # type: ignore[assignment]
        self.action_space = slate_space(scenario)
        self._shapes = [(scenario.slate_size,), *([()] if scenario.slate_size == 1 else [])]
        self._columns = scenario.response_dtype.names or ()
        self._over: bool | None = None  # None: no session has begun
        self._rows, self._observation = self.simulator.final, Observation()

    @property
    def catalogue(self) -> np.ndarray | None:
        """Features of every item, (num_items, F) float32, where candidates carry catalogue ids."""
        return self.scenario.catalogue_features

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        seed = as_seed(seed)
        refuse_options(options)
        super().reset(seed=seed)
        if seed is None and self._over is None:
            seed = int(self.np_random.integers(2**63))
        self._over = False
        return self._see(self.simulator.reset(seed)), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show a slate: (S,) candidate positions, or one position where the slate has one place.

        Raises:
            InvalidAction: see `Simulator.check_slates`.
            ResetNeeded: the session is over.
        """
        if self._over is not False:
            raise ResetNeeded("no session is running: call reset() first")
        slate = as_array(action)
        if slate.dtype.kind in "iu" and slate.shape not in self._shapes:
            raise InvalidAction(f"an action has the shape {self._shapes[0]} (places of the slate), not {slate.shape}")
        slates = self.simulator.check_slates(slate[None])
        rows, results, answers = self.simulator.step(slates)
        reward, repaired, engagement, length, clicks, terminated, truncated, *_ = results.item()  # as RESULT says
        self._over = terminated or truncated
        places = answers[0]
        info: dict[str, Any] = {name: places[name] for name in self._columns}
        info["repaired"] = repaired
        if self._over:
            info["session"] = {"engagement": engagement, "length": length, "click_rate": clicks / length}
        return self._see(rows), reward, terminated, truncated, info

    def _see(self, rows: np.ndarray) -> Observation:
        self._rows, row = rows, rows[0]
        self._observation = {key.name: key.of_one(row) for key in self.simulator.layout.keys}
        return self._observation.copy()

    def snapshot(self) -> Snapshot:
        """The user now, to go on from with `restore`. Raises `ResetNeeded` where no session is running."""
        if self._over is not False:
            raise ResetNeeded("no session is running, so there is nothing to go on from: call reset() first")
        return snapshot_of(self.simulator, self._rows)

    def restore(self, snapshot: Snapshot, luck: int | None = None) -> Observation:
        """As `RecVectorEnv.restore`, of a snapshot of one user."""
        restore(self.simulator, snapshot, luck)
        self._over = False
        return self._see(snapshot.rows.copy())

    def action_masks(self) -> np.ndarray:
        """(S x C,) bool: whether a place may take a position, place by place; all True in a world without a mask.

        Raises `ResetNeeded` before the first reset.
        """
        masks = {name: part[None] for name, part in self._observation.items() if name == "mask"}
        return action_masks(masks, 1, self.scenario, self._over is not None)[0]

    def render(self) -> Any:
        """The user's state and the last slate, as text or as an (H, W, 3) uint8 picture."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() does nothing without a render_mode: pass 'ansi' or 'rgb_array'")
            return None
        return render_user(self.simulator, 0, self.render_mode)


class RecVectorEnv(Copied, VectorEnv[Observation, Any, np.ndarray]):
    """`num_envs` simulated users at once; a user's next session begins in the step that ended one.

    Place i is user `options.first_user + i` of the seed: the same life as anywhere else. Observations are the caller's
    own, but for candidates that are the same always and for everybody: these are one read-only array.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": RENDER_MODES,
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self, scenario: Scenario, num_envs: int = 1, options: Options | None = None, render_mode: str | None = None
    ) -> None:
        self.render_mode = check_render_mode(render_mode)
        self.num_envs, self.scenario, self.options = num_envs, scenario, options or Options()
        self.simulator = Simulator(scenario, num_envs, self.options, autoreset=True)
        self.single_observation_space = self.simulator.layout.space()
        self.single_action_space = slate_space(scenario)
        self._columns = scenario.response_dtype.names or ()
        self._begun = False
        self._rows, self._observation = self.simulator.final, Observation()

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """As Gymnasium's own vector environments tell it: a session that ended is followed by the next in that step."""
        mode: AutoresetMode = self.metadata["autoreset_mode"]
        return mode

    # Built when asked for: the bounds of a million observations take more memory than the users.
    @cached_property
    def observation_space(self) -> Space[Any]:  # type: ignore[override]
        return batch_space(self.single_observation_space, self.num_envs)

    @cached_property
    def action_space(self) -> Space[Any]:  # type: ignore[override]
        return batch_space(self.single_action_space, self.num_envs)

    @property
    def catalogue(self) -> np.ndarray | None:
        """Features of every item, (num_items, F) float32, where candidates carry catalogue ids."""
        return self.scenario.catalogue_features

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        seed = as_seed(seed)
        refuse_options(options)
        super().reset(seed=seed)
        if seed is None and not self._begun:
            seed = int(self.np_random.integers(2**63))
        self._begun = True
        return self._see(self.simulator.reset(seed)), {}

    def step(self, actions: Any) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Show slates (n, S) of candidate positions; (n,) too where the slate has one place.

        Returns:
            Observations, rewards (n,) float64, terminated and truncated (n,) bool, and infos: the response's
            columns (n, S) and `repaired` (n,); where sessions ended `session` with the mask `_session`,
            and `final_obs` with `_final_obs`.

        Raises:
            InvalidAction: see `Simulator.check_slates`; nothing was simulated.
            ResetNeeded: no session has begun.
        """
        if not self._begun:
            raise ResetNeeded("no session is running: call reset() first")
        rows, results, answers = self.simulator.step(self.simulator.check_slates(actions))
        info: dict[str, Any] = {name: answers[name] for name in self._columns}
        info["repaired"] = np.ascontiguousarray(results["repaired"])
        if len(self.simulator.ended):
            info |= self._endings(results)
        # Copied: torch refuses columns of these records, whose size is no multiple of a number's.
        rewards = np.ascontiguousarray(results["reward"])
        return self._see(rows), rewards, results["terminated"], results["truncated"], info

    def _endings(self, results: np.ndarray) -> dict[str, Any]:
        """What is told of the sessions that ended, in Gymnasium's form: an array and its mask."""
        ended, places = self.simulator.over, self.simulator.ended
        final, of_ended = self.simulator.layout.split(self.simulator.final), results.take(places)
        told = {
            "engagement": of_ended["engagement"],
            "length": of_ended["length"],
            "click_rate": of_ended["clicks"] / of_ended["length"],
        }
        session = {name: np.zeros(self.num_envs, values.dtype) for name, values in told.items()}
        for name, values in told.items():
            session[name][places] = values
        last: list[Observation] = [{} for _ in places]
        for name, parts in final.items():
            for observation, part in zip(last, parts, strict=True):
                observation[name] = part
        observations = np.empty(self.num_envs, object)  # None everywhere
        observations[places] = last
        return {"session": session, "_session": ended, "final_obs": observations, "_final_obs": ended}

    def _see(self, rows: np.ndarray) -> Observation:
        self._rows, self._observation = rows, self.simulator.layout.split(rows)
        return dict(self._observation)

    def snapshot(self) -> Snapshot:
        """All users now, to go on from with `restore`. Raises `ResetNeeded` where no session has begun."""
        if not self._begun:
            raise ResetNeeded("no session has begun, so there is nothing to go on from: call reset() first")
        return snapshot_of(self.simulator, self._rows)

    def restore(self, snapshot: Snapshot, luck: int | np.ndarray | None = None) -> Observation:
        """Go on from a snapshot of `num_envs` users of the same scenario, watched in the same way.

        Args:
            snapshot: what `snapshot` gave, or some of its users (`Snapshot.take`).
            luck: None: exactly as if never stopped. A whole number, or one for each user (n,): with luck of their
                own, so that a planner does not peek; the same number gives the same future.

        Returns:
            The observation of the snapshot.

        Raises:
            InvalidParameter: another scenario, other options (observe, history, totals), another number of users,
                or a luck that is no whole number from 0.
        """
        restore(self.simulator, snapshot, luck)
        self._begun = True
        return self._see(snapshot.rows.copy())

    def action_masks(self) -> np.ndarray:
        """(n, S x C) bool: of each user a row as `RecEnv.action_masks`. Raises `ResetNeeded` before the first reset."""
        return action_masks(self._observation, self.num_envs, self.scenario, self._begun)

    def render(self) -> tuple[Any, ...] | None:
        """Text or pictures of the first nine users."""
        if self.render_mode is None:
            return None
        return tuple(render_user(self.simulator, i, self.render_mode) for i in range(min(9, self.num_envs)))
