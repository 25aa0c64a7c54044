"""The experiment: train, evaluate, compare."""
