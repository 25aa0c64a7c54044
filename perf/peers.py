"""The published simulators beside this one, at the same work, in turn within one run.

    python perf/peers.py [--peers recsim,sardine,recogym] [--repeats 5] [--seconds 1] [--out FILE.json]

recsim 0.2.4, sardine-rec 1.0.8 and recogym 0.1.3.0 are installed from the package index into a folder of their own
(`--site build/peers`) where they are not there yet. Libraries of their time that are not installed here (gin, dopamine,
TensorFlow, …) are empty stand-ins while they are imported; what simulates users needs none of them. Slates are random
and prepared beforehand. A repeat plays each side for as long; the ratio is that of a repeat's two rates.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.machinery
import json
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

import recsim_env
from recsim_env.resources import usable_cores

PACKAGES = ("recsim==0.2.4", "sardine-rec==1.0.8", "recogym==0.1.3.0", "six==1.17.0")  # the last one small and needed
MISSING = ("absl", "dopamine", "gin", "sklearn", "tensorflow", "tf_slim")
BATCHES = (1024, 4096, 8192, 16_384, 131_072)  # users side by side; the fastest counts
PREPARED = 16
Play = Callable[[int], int]  # so many steps; the user-steps that they were


# -- what the peers import and do not need --------------------------------------------------------------


class Nothing:
    """Whatever is asked of it; as a decorator it leaves a function as it is."""

    def __call__(self, *arguments: Any, **_: Any) -> Any:
        return arguments[0] if arguments and callable(arguments[0]) else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Nothing,), {}) if name[:1].isupper() else Nothing()


class StandIn(types.ModuleType):
    """An empty module, whose names are nothing."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return Nothing.__getattr__(Nothing(), name)


class StandIns:
    """Finds the old libraries that nothing else finds, while the peers are imported."""

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in MISSING:
            return None
        return importlib.machinery.ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """It stays empty."""


def install(site: Path) -> None:
    if not all(list(site.glob(name.partition("==")[0].replace("-", "_") + "-*.dist-info")) for name in PACKAGES):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *PACKAGES]
        subprocess.run(command, check=True)
    sys.path.append(str(site))
    # Gym's successor, under the name that it had.
    sys.modules["gym"] = gymnasium
    sys.modules["gym.envs.registration"] = gymnasium.envs.registration
    sys.modules["gym.spaces"] = gymnasium.spaces


def load(module: str) -> Any:
    finder: Any = StandIns()
    sys.meta_path.append(finder)
    try:
        return importlib.import_module(module)
    finally:
        sys.meta_path.remove(finder)


# -- the same work on both sides ------------------------------------------------------------------------


def random_slates(candidates: int, places: int, users: int = 1) -> list[np.ndarray]:
    """Slates (users, places) without repeats, several so that steps differ."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(PREPARED):
        slates = rng.integers(candidates, size=(users, places))
        while len(again := np.flatnonzero((np.diff(np.sort(slates, axis=1), axis=1) == 0).any(axis=1))):
            slates[again] = rng.integers(candidates, size=(len(again), places))
        found.append(slates)
    return found


def play_recsim() -> Play:
    create = load("recsim.environments.interest_evolution").create_environment
    env = create({"num_candidates": 10, "slate_size": 3, "resample_documents": True, "seed": 0})
    slates = [slate[0] for slate in random_slates(10, 3)]
    env.reset()

    def play(steps: int) -> int:
        for k in range(steps):
            if env.step(slates[k % PREPARED])[2]:
                env.reset()
        return steps

    return play


def play_gymnasium(env: Any, slates: Sequence[Any]) -> Play:
    """One user of a Gymnasium environment, theirs or ours."""
    env.reset(seed=0)

    def play(steps: int) -> int:
        for k in range(steps):
            _, _, terminated, truncated, _ = env.step(slates[k % PREPARED])
            if terminated or truncated:
                env.reset()
        return steps

    return play


def play_sardine() -> Play:
    load("sardine")
    env = gymnasium.make("sardine/SlateTopK-Bored-v0", disable_env_checker=True)
    return play_gymnasium(env, [slate[0] for slate in random_slates(1000, 10)])


def play_recogym() -> Play:
    for agents in ("agents", "bench_agents", "competition", "evaluate_agent"):  # which ask for an older scipy
        sys.modules["recogym." + agents] = StandIn(agents)
    envs = load("recogym.envs")
    env = envs.RecoEnv1()
    env.init_gym({**envs.env_1_args, "random_seed": 0})
    actions = np.random.default_rng(0).integers(10, size=PREPARED).tolist()
    users = iter(range(1 << 60))

    def begin() -> bool:
        """The organic views before the first recommendation; whether the user left during them."""
        env.reset(next(users))
        return bool(env.step(None)[2])

    while begin():
        pass

    def play(steps: int) -> int:
        for k in range(steps):
            if env.step(actions[k % PREPARED])[2]:
                while begin():
                    pass
        return steps

    return play


@dataclass(frozen=True)
class Peer:
    """A published simulator, and the same work here."""

    name: str
    theirs: Callable[[], Play]
    ours: str  # the Gymnasium id
    parameters: dict[str, Any]
    candidates: int
    places: int

    def single(self) -> Play:
        slates = [slate[0] for slate in random_slates(self.candidates, self.places)]
        return play_gymnasium(gymnasium.make(self.ours, **self.parameters), slates)

    def batch(self, users: int) -> Play:
        envs = gymnasium.make_vec(self.ours, num_envs=users, **self.parameters)
        slates = random_slates(self.candidates, self.places, users)
        envs.reset(seed=0)

        def play(steps: int) -> int:
            for k in range(steps):
                envs.step(slates[k % PREPARED])
            return steps * users

        return play


INTEREST = {"num_candidates": 10, "slate_size": 3, "choice": "proportional"}
PEERS = {
    "recsim": Peer("recsim 0.2.4", play_recsim, "recsim_env/InterestEvolution-v0", INTEREST, 10, 3),
    "sardine": Peer("sardine-rec 1.0.8", play_sardine, "recsim_env/Boredom-v0", {"preset": "slate"}, 1000, 10),
    "recogym": Peer("recogym 0.1.3.0", play_recogym, "recsim_env/OrganicBandit-v0", {}, 10, 1),
}


# -- measuring ------------------------------------------------------------------------------------------


def rate(play: Play, seconds: float) -> float:
    """User-steps a second, over about so many seconds."""
    steps, done = 1, 0
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        done += play(steps)
        steps = min(2 * steps, 1000)
    return done / took


def best_batch(peer: Peer, seconds: float) -> int:
    """The number of users that is fastest, by the median of three tries each, in turn."""
    plays = {users: peer.batch(users) for users in BATCHES}
    tries = [{users: rate(play, seconds / 3) for users, play in plays.items()} for _ in range(4)]
    return max(BATCHES, key=lambda users: statistics.median(each[users] for each in tries[1:]))  # the first warms up


def measure(peer: Peer, repeats: int, seconds: float) -> Iterator[dict[str, float]]:
    """Rates of a repeat: theirs, one user of ours, a batch of ours; each in turn."""
    users = best_batch(peer, seconds)
    sides = {"theirs": peer.theirs(), "one user": peer.single(), "batch": peer.batch(users)}
    for play in sides.values():
        rate(play, seconds / 4)  # what is compiled, and what is read first
    for _ in range(repeats):
        yield {"users": users, **{name: rate(play, seconds) for name, play in sides.items()}}


def told(numbers: Sequence[float]) -> str:
    return f"{statistics.median(numbers):,.0f} ({min(numbers):,.0f} to {max(numbers):,.0f})"


def row_of(peer: Peer, found: Sequence[dict[str, float]]) -> list[str]:
    ratios = [[each[ours] / each["theirs"] for each in found] for ours in ("one user", "batch")]
    rates = [told([each[name] for each in found]) for name in ("theirs", "one user", "batch")]
    return [peer.name, *rates, f"{found[0]['users']:,.0f}", *(told(each) for each in ratios)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a side plays in a repeat")
    parser.add_argument("--site", type=Path, default=Path("build/peers"), help="the folder of the peers' packages")
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    arguments = parser.parse_args()
    install(arguments.site)
    title = f"user-steps a second, {usable_cores()} cores, median of {arguments.repeats} (lowest to highest)"
    columns = ("simulator", "its own", "here, one user", "here, a batch", "of users", "ratio, one user", "ratio, batch")
    table, numbers = Table(*columns, title=title), {}
    for name in arguments.peers.split(","):
        numbers[name] = list(measure(PEERS[name], arguments.repeats, arguments.seconds))
        table.add_row(*row_of(PEERS[name], numbers[name]))
    Console(width=170).print(table)
    if arguments.out:
        arguments.out.write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    assert recsim_env  # registers the ids
    main()
