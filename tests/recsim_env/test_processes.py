"""Users in other processes and at the end of one: a forked child plays on, and so does a thread after the main one."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from recsim_env import make_vector_env
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
