"""TensorBoard: what runs write for it beside their curves, and itself on the loopback address."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsim_env.errors import InvalidParameter, RecSimError, RunFolderError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from benchmark.evaluation import Evaluation
    from benchmark.run import Run


LAYOUT = {
    "all agents": {
        "engagement, validation users, 95 % band": [
            "Margin",
            ["eval/engagement", "eval/engagement_low", "eval/engagement_high"],
        ],
        "now against in the end": ["Multiline", ["eval/immediate_reward", "eval/engagement"]],
        "sessions": ["Multiline", ["eval/length", "rollout/ep_len_mean"]],
        "diversity": ["Multiline", ["eval/diversity"]],
        "losses": ["Multiline", ["train/.*loss.*"]],
    }
}


def tell_layout(writer: SummaryWriter) -> None:
    """Lay the custom scalars out: each chart shows the runs that are chosen side by side."""
    writer.add_custom_scalars(LAYOUT)


def tell_settings(writer: SummaryWriter, run: Run, result: Evaluation) -> None:
    """The agent's settings and what it reached on test users, for the HParams tab."""
    from torch.utils.tensorboard.summary import hparams

    settings = {name: plain(value) for name, value in asdict(run.config()).items()}
    known = {"scenario": run.scenario, "agent": run.agent, "seed": run.seed, "steps": run.steps, **settings}
    final = {f"final/{name}": value for name, value in result.summary.items()}
    for summary in hparams(known, final):  # type: ignore[no-untyped-call]
        writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]
    for name, value in final.items():
        writer.add_scalar(name, value, run.steps)


def tell_users(writer: SummaryWriter, run: Run, result: Evaluation) -> None:
    """How engagement, length and what the world measures spread over test users, for the Histograms tab."""
    same = ("seed", "people", "user", "cut")
    for name, values in result.table.drop(columns=list(same)).items():
        known = values[np.isfinite(values)]
        if len(known):
            writer.add_histogram(f"users/{name}", known.to_numpy(), run.steps)


def plain(value: Any) -> bool | int | float | str:
    """A setting as the tab takes it."""
    return value if type(value) in (bool, int, float, str) else str(getattr(value, "name", value)).lower()


def serve(runs: Path, port: int) -> None:
    """Run TensorBoard until it is stopped.

    Raises:
        RunFolderError: there are no curves in the folder.
        InvalidParameter: no such port.
    """
    if not 1 <= port <= 65535:
        raise InvalidParameter(f"--port must lie in [1, 65535], not {port}")
    if not any(runs.rglob("events.out.tfevents.*")):
        raise RunFolderError(f"{runs} holds no curves; run `recsim-env bench` first, or name the folder of its runs")
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(runs),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    print(f"TensorBoard: http://127.0.0.1:{port}/ (Ctrl-C stops it)", flush=True)
    try:
        code = subprocess.call(command)
    except KeyboardInterrupt:
        return
    if code:
        raise RecSimError(f"TensorBoard stopped with exit code {code}; see its message above")
