"""The records of users and of the candidates on offer, read back from a full observation: for planners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recsim_env.errors import ScenarioError
from recsim_env.fields import Field
from recsim_env.layout import SPECIAL
from recsim_env.scenario import Scenario

Observation = Mapping[str, np.ndarray]


def users_in(scenario: Scenario, observation: Observation) -> np.ndarray:
    """(n,) user records, as an observation with `observe="full"` shows them.

    Exact to float32; what lies outside a field's range is at its edge, and seen fields hold the world's `noise`.

    Raises:
        ScenarioError: the observation does not show the hidden state.
    """
    users = np.zeros(len(next(iter(observation.values()))), scenario.user_dtype)
    fields = scenario.user_fields()
    fill(users, fields, observation, "user", "hidden_user")
    if any(field.name == "id" for field in fields):
        users["id"] = np.rint(observation["user_id"][:, 0])
    return users


def items_in(scenario: Scenario, observation: Observation) -> np.ndarray:
    """(n, C) item records of the candidates on offer; as `users_in`."""
    items = np.zeros((len(next(iter(observation.values()))), scenario.num_candidates), scenario.item_dtype)
    fields = scenario.item_fields()
    fill(items, fields, observation, "candidates", "hidden_candidates")
    for field, key in zip(SPECIAL, ("candidate_ids", "mask"), strict=True):
        if any(own.name == field for own in fields):
            items[field] = np.rint(observation[key])
    return items


def fill(records: np.ndarray, fields: Sequence[Field], observation: Observation, seen: str, hidden: str) -> None:
    """Read the fields of records (...,) from the keys of what is seen and of what is hidden, side by side in each."""
    start = {seen: 0, hidden: 0}
    for field in fields:
        if field.name in SPECIAL:
            continue
        key = seen if field.seen else hidden
        if key not in observation:
            raise ScenarioError(f'the observation has no {key!r}; make the environment with observe="full"')
        records[field.name] = value_of(field, observation[key][..., start[key] : start[key] + field.width])
        start[key] += field.width


def value_of(field: Field, part: np.ndarray) -> np.ndarray:
    """What a field holds, (...,) or (..., shape), from the numbers (..., width) that show it."""
    if field.categories:
        values = part.reshape(*part.shape[:-1], field.words, field.categories).argmax(axis=-1)
    else:
        values = np.rint(part) if field.integer else part
    return values if field.shape else values[..., 0]
