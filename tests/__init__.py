"""Tests. Hypothesis draws the same examples each time, and a busy machine fails nothing."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
