"""The command `preview`: what users go through with an agent, as one picture and as curves by slate."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmark.evaluation import COLUMNS, peoples
from benchmark.listing import table, terminal
from benchmark.preview.draw import check_matplotlib, draw
from benchmark.preview.play import MOST, Journey, names_of, watch
from benchmark.run import Run
from benchmark.single import find_agent, name_and_folder
from benchmark.statistics import interval
from recsim_env.errors import InvalidParameter, RunFolderError
from recsim_env.files import whole

PICTURE = "preview.png"


def preview_one(
    scenario: str, agent: str, parameters: dict[str, Any], settings: dict[str, Any],
    users: int, seed: int, steps: int, observe: str, out: Path | None,
) -> None:  # fmt: skip
    """Play, draw, and print what happened; of a persistent population the known people.

    Raises:
        RecSimError: of any kind, before anything is played or written.
    """
    for option, value, low in (("users", users, 1), ("seed", seed, 0), ("steps", steps, 0)):
        if value < low:
            raise InvalidParameter(f"--{option} must be {low} or more, not {value}")
    name, folder = name_and_folder(agent)
    out = out or Path("previews") / f"{Path(scenario.replace(':', '-')).stem}-{name}"
    check_folder(out)
    check_matplotlib()
    run = Run(scenario, parameters, name, settings, seed, steps, users, observe)
    group, world = peoples(run.world())[0]
    console = terminal()
    with console.status(f"training {name} with {steps:,} user-steps") if steps else nullcontext():
        made = find_agent(run, folder)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
                  disable=not sys.stdout.isatty(), transient=True) as bars:  # fmt: skip
        task = bars.add_task("playing", total=users)

        def tell(slates: int, left: int) -> None:
            bars.update(task, completed=users - left, description=f"slate {slates}, {left:,} users in session")

        journey = watch(made, world, users=users, seed=seed, observe=observe, tell=tell)
    people = "" if group == "all" else f"{group} people, "
    write(journey, f"{scenario} with {name}: what {users:,} users go through ({people}seed {seed})", out)
    tell_table(console, journey, f"{name} in {scenario}" + f", {group} people" * (group != "all"))
    print(f"Picture: {out / PICTURE}. By slate: recsim-env tensorboard {out}")


def check_folder(out: Path) -> None:
    """Refuse to replace anything but an earlier preview."""
    if out.exists() and not (out / PICTURE).exists():
        raise RunFolderError(f"{out} exists and holds no preview; choose another --out, or remove it")


def write(journey: Journey, name: str, out: Path) -> None:
    """The picture and the curves; an earlier preview stays until they are whole."""
    from matplotlib.image import imsave
    from torch.utils.tensorboard import SummaryWriter

    picture = draw(journey, name)
    with whole(out, PICTURE) as part:
        part.mkdir()
        imsave(part / PICTURE, picture)
        with SummaryWriter(str(part)) as writer:
            writer.add_image("preview", picture, dataformats="HWC")
            for tag, values, first in curves(journey):
                for step, value in enumerate(values, first):
                    writer.add_scalar(tag, value, step)


def curves(journey: Journey) -> list[tuple[str, list[float], int]]:
    """(tag, values, the first value's step) with the slates shown as steps: 0 is the arrival."""
    users = journey.left[0]
    found = [
        ("session/still_in_session", [left / users for left in journey.left[: MOST + 1]], 0),
        ("session/clicks_on_a_slate", journey.clicks[:MOST], 1),
        ("session/reward_of_a_slate", journey.rewards[:MOST], 1),
    ]
    for trace in journey.followed.values():
        quantiles = np.array(trace.quantiles)  # (T, 3, curves)
        for k, curve in enumerate(names_of(trace.field)):
            tag = f"state/{trace.field.name}" + f"/{curve}" * (curve != trace.field.name)
            if trace.is_shares:
                found.append((f"{tag}/share", quantiles[:, 1, k].tolist(), 0))
                continue
            found += [(f"{tag}/{level}", quantiles[:, row, k].tolist(), 0)
                      for row, level in enumerate(("low_10_percent", "median", "high_10_percent"))]  # fmt: skip
    return found


def tell_table(console: Console, journey: Journey, title: str) -> None:
    """A line a measure on the terminal."""
    made, sessions = table(title, "of a session", "mean", "95 % interval over users"), journey.table
    cut = int(sessions["cut"].sum())
    for column in ("engagement", "length", *sessions.columns.drop([c for c in COLUMNS if c in sessions])):
        values = sessions[column].to_numpy(float)
        low, high = interval(values) if len(values) > 1 else (np.nan, np.nan)
        made.add_row(str(column), f"{values.mean():,.3f}", f"{low:,.3f} to {high:,.3f}" if len(values) > 1 else "")
    made.add_row("clicks a slate", f"{sessions['clicks'].sum() / sessions['length'].sum():,.3f}", "")
    made.add_row("sessions", f"{len(sessions):,}", f"{len(sessions) - cut:,} left, {cut:,} cut by the horizon")
    console.print(made)
