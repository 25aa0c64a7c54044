"""Simulated users whose states evolve with what they are recommended, as Gymnasium environments."""
