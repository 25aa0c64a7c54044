"""TensorBoard on the loopback address."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from recsim_env.errors import InvalidParameter, RecSimError, RunFolderError


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
