"""Users that are copied, in other processes, and at the end of one: they live on as they would have, and apart."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from recsim_env import make_env, make_vector_env
from recsim_env.errors import ScenarioError
from recsim_env.simulator import executor

USERS, SLATES = 512, np.tile([0, 1], (512, 1))
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def first_rewards() -> float:
    """What two threads play."""
    envs = make_vector_env("long_term_satisfaction", num_envs=USERS, threads=2)
    envs.reset(seed=1)
    return float(envs.step(SLATES)[1].sum())


def tell(queue: Any) -> None:
    queue.put(first_rewards())


@needs_fork
def test_a_forked_child_plays_the_same_life_as_its_parent() -> None:
    """The pool of threads is used before the fork, and its threads are not there in the child."""
    expected, fork = first_rewards(), multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=tell, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == expected
    finally:
        child.kill()
        child.join()


@needs_fork
def test_a_child_has_a_pool_of_its_own() -> None:
    pool = executor(2)
    child = os.fork()
    if child == 0:
        os._exit(executor(2) is pool)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert executor(2) is pool


LATE = """
import atexit, threading
from tests.recsim_env.test_processes import first_rewards
first_rewards()
atexit.register(lambda: print(first_rewards()))
threading.Thread(target=lambda: (threading.main_thread().join(), print(first_rewards()))).start()
"""


def test_users_are_simulated_while_the_interpreter_shuts_down() -> None:
    """Then no pool takes work: from a thread that outlives the main one, and at exit."""
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == [str(first_rewards())] * 2, done.stderr


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "cloudpickle": lambda env: cloudpickle.loads(cloudpickle.dumps(env)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
SHOP = Path(__file__).parents[2] / "examples" / "coffee_shop.py"


def lived(env: Any, steps: int) -> list[float]:
    """Some steps' rewards, of the first candidates."""
    slates = np.zeros((3, 1), int) if hasattr(env, "num_envs") else 0
    return [float(np.sum(env.step(slates)[1])) for _ in range(steps)]


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("jit", [True, False])
def test_a_copy_lives_on_apart_and_as_its_original_would(way: str, many: bool, jit: bool) -> None:
    """Within a session, of a world in a file; steps of one move nobody of the other."""
    make = make_vector_env if many else make_env
    env = make(f"{SHOP}:CoffeeShop", jit=jit, **({"num_envs": 3} if many else {}))
    env.reset(seed=1)
    lived(env, 2)
    other = COPIES[way](env)
    of_copy = lived(other, 5)
    assert env.simulator.state.lives["step"].max() <= 2
    assert lived(env, 5) == of_copy
    assert other.simulator.scenario == env.simulator.scenario


def test_a_copy_from_before_the_first_reset_is_reset_as_its_original() -> None:
    env = make_env(f"{SHOP}:CoffeeShop")
    other = pickle.loads(pickle.dumps(env))
    for one in (env, other):
        one.reset(seed=3)
    assert lived(other, 5) == lived(env, 5)


def test_another_process_plays_what_was_pickled_here(tmp_path: Path) -> None:
    env = make_vector_env(f"{SHOP}:CoffeeShop", num_envs=3)
    env.reset(seed=1)
    lived(env, 2)
    (tmp_path / "env.pickle").write_bytes(pickle.dumps(env))
    code = (
        "import pickle, sys; from tests.recsim_env.test_processes import lived;"
        "print(lived(pickle.load(open(sys.argv[1], 'rb')), 5))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "env.pickle")], capture_output=True, text=True)
    assert done.stdout.strip() == str(lived(env, 5)), done.stderr


def test_a_world_whose_file_is_gone_is_named(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text(SHOP.read_text(encoding="utf-8"), encoding="utf-8")
    content = pickle.dumps(make_env(f"{file}:CoffeeShop"))
    file.unlink()
    with pytest.raises(ScenarioError, match=r"there is no scenario file .*shop.py"):
        pickle.loads(content)
