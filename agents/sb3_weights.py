"""What a model of Stable-Baselines3 learnt, as plain arrays: its own files hold pickles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

ENTROPY = "log_ent_coef"  # SAC's and TQC's weight of the entropy, which is in no network


def learnt_of(model: Any) -> dict[str, np.ndarray]:
    """The weights of its networks as `policy/KEY`, its optimisers' moments as `OPTIMISER/PARAMETER/KEY`."""
    arrays: dict[str, np.ndarray] = {}
    for name, state in model.get_parameters().items():
        for key, value in state.get("state", state).items():
            parts = {f"{name}/{key}/{k}": v for k, v in value.items()} if "state" in state else {f"{name}/{key}": value}
            arrays |= {k: as_array(v) for k, v in parts.items()}
    if isinstance(getattr(model, ENTROPY, None), torch.Tensor):
        arrays[ENTROPY] = as_array(getattr(model, ENTROPY))
    return arrays


def as_array(value: Any) -> np.ndarray:
    """A copy on the CPU; some optimisers count their steps in a plain number."""
    return np.array(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)


def set_learnt(model: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Take over what `learnt_of` gave; other names in `arrays` are left alone."""
    parameters = model.get_parameters()
    for name, state in parameters.items():
        found = {key.split("/", 1)[1]: value for key, value in arrays.items() if key.startswith(f"{name}/")}
        tensors = {key: torch.from_numpy(np.array(value)) for key, value in found.items()}
        if "state" not in state:
            parameters[name] = tensors
            continue
        moments: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            index, field = key.split("/")
            moments.setdefault(int(index), {})[field] = value
        parameters[name] = {**state, "state": moments}
    model.set_parameters(parameters, exact_match=True)
    if ENTROPY in arrays:
        with torch.no_grad():
            getattr(model, ENTROPY).copy_(torch.from_numpy(np.array(arrays[ENTROPY])))
