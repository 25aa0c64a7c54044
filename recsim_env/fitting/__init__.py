"""A scenario's parameters from logged interactions."""

from recsim_env.fitting.estimates import Estimate
from recsim_env.fitting.fit import Fit, fit
from recsim_env.fitting.simulate import RANDOM, Behaviour

__all__ = ["RANDOM", "Behaviour", "Estimate", "Fit", "fit"]
