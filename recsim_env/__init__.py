"""Simulated users whose states evolve with what they are recommended, as Gymnasium environments.

Importing this package registers the installed scenarios: `gymnasium.make("recsim_env/InterestEvolution-v0")`.
"""

from recsim_env.env import RecEnv, RecVectorEnv
from recsim_env.errors import RecSimError
from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.registration import find_world, make_env, make_vector_env, register_all
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.streams import Purpose

__all__ = [
    "Field",
    "Options",
    "Purpose",
    "RecEnv",
    "RecSimError",
    "RecVectorEnv",
    "Scenario",
    "find_world",
    "make_env",
    "make_vector_env",
    "param",
]

register_all()
