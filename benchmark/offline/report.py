"""What came of the offline test: figures with paired intervals over users, on the terminal and in files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.listing import table, terminal
from benchmark.offline.split import read_ratings
from benchmark.offline.trials import OfflineTest
from benchmark.progress import counted
from benchmark.statistics import interval
from recsim_env.files import whole

POPULAR, BASELINES = "popular", ("als", "ease", "item_knn")
MAIN = "NDCG@100"
WIDTH = 150


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Ranks as what is reported; a film that is asked for is the only right one, so the best gain is 1."""
    rank = rows["rank"].to_numpy()
    gain = 1.0 / np.log2(1.0 + rank)
    return rows.assign(**{"HR@10": rank <= 10, "NDCG@10": gain * (rank <= 10), MAIN: gain * (rank <= 100)})


METRICS = ("HR@10", "NDCG@10", MAIN)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each split, agent and metric: the mean over users and its interval, and paired differences.

    A user's value is the mean over what was asked of them, in all folds and seeds of the split. `over_popular` and
    `over_baseline` are differences user by user, the latter to the best of als, ease and item_knn by NDCG@100.
    """
    found: list[dict[str, Any]] = []
    for split, group in measured(rows).groupby("split", sort=False):
        users = group.groupby(["agent", "user"], sort=False)[list(METRICS)].mean()
        by_agent = {str(agent): users.loc[agent] for agent in group["agent"].unique()}
        baseline = max((a for a in BASELINES if a in by_agent), key=lambda a: by_agent[a][MAIN].mean(), default=None)
        for agent, own in by_agent.items():
            seconds = group.loc[group["agent"] == agent].groupby(["seed", "fold"])["seconds"].first().mean()
            for metric in METRICS:
                row = {"split": split, "agent": agent, "metric": metric, "users": len(own), "seconds": seconds}
                row |= spread("", own[metric])
                for name, other in (("over_popular", POPULAR), ("over_baseline", baseline)):
                    if other in by_agent and other != agent:
                        row |= spread(name, own[metric] - by_agent[other][metric])
                found.append({**row, "baseline": baseline})
    return pd.DataFrame(found)


def spread(name: str, values: pd.Series) -> dict[str, float]:
    """A mean and its 95 % interval over users, as columns."""
    low, high = interval(values.to_numpy())
    start = f"{name}_" if name else ""
    return {f"{start}mean": float(values.mean()), f"{start}low": low, f"{start}high": high}


def cells(summary: pd.DataFrame, split: str) -> list[list[str]]:
    """The table of a split, the best NDCG@100 first."""
    own = summary[summary["split"] == split]
    means = own.pivot_table(index="agent", columns="metric", values="mean", sort=False)
    made = []
    for agent in means[MAIN].sort_values(ascending=False).index:
        main = own[(own["agent"] == agent) & (own["metric"] == MAIN)].iloc[0]
        figures = [f"{means.loc[agent, metric]:.4f}" for metric in METRICS]
        figures[-1] += f" ({main['low']:.4f} to {main['high']:.4f})"
        more = [difference(main, name) for name in ("over_popular", "over_baseline")]
        made.append([str(agent), *figures, *more, f"{main['seconds']:.0f}"])
    return made


def difference(row: pd.Series, name: str) -> str:
    """A paired difference with its interval, where there is one."""
    if pd.isna(row.get(f"{name}_mean", np.nan)):
        return ""
    return f"{row[f'{name}_mean']:+.4f} ({row[f'{name}_low']:+.4f} to {row[f'{name}_high']:+.4f})"


def columns(summary: pd.DataFrame, split: str) -> list[str]:
    """The titles of `cells`."""
    baseline = summary.loc[summary["split"] == split, "baseline"].iloc[0]
    return ["agent", *METRICS, "over popular", f"over {baseline}" if baseline else "over no baseline", "s"]


def title(summary: pd.DataFrame, split: str, test: OfflineTest) -> str:
    """What a table is of."""
    users, count = int(summary.loc[summary["split"] == split, "users"].max()), test.seeds
    seeds = f"{count} seeds" if count > 1 else "1 seed"
    return f"{split}, {test.part}: {users} users, {len(test.ratings.catalogue):,} films, {seeds}"


def markdown(summary: pd.DataFrame, test: OfflineTest) -> str:
    """The tables as a page would show them."""
    parts = []
    for split in test.splits:
        head = columns(summary, split)
        lines = [title(summary, split, test), "", " | ".join(["", *head, ""]).strip()]
        lines += ["|" + "---|" * len(head), *(" | ".join(["", *row, ""]).strip() for row in cells(summary, split))]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def run_offline(
    data: Path, agents: list[str], settings: dict[str, dict[str, Any]], splits: list[str], seeds: int, part: str,
    out: Path,
) -> None:  # fmt: skip
    """Check, do what is missing, write offline.csv and offline.md, and print.

    Raises:
        RecSimError: of any kind, before anything starts.
    """
    test = OfflineTest(read_ratings(data), agents, settings, splits, seeds, part)
    test.check()
    try:
        with counted() as tell:
            rows = test.run(out, tell)
    except KeyboardInterrupt:
        print("stopped; what was done is kept, and the same command goes on from there", file=sys.stderr)
        raise
    summary = summarise(rows)
    with whole(out / "offline.csv") as aside:
        summary.to_csv(aside, index=False)
    with whole(out / "offline.md") as aside:
        aside.write_text(markdown(summary, test), encoding="utf-8")
    for split in splits:
        made = table(title(summary, split, test), *columns(summary, split))
        for row in cells(summary, split):
            made.add_row(*row)
        terminal(WIDTH).print(made)
    print("95 % intervals over users; differences are of NDCG@100, user by user.")
    print(f"Tables: {out}/offline.csv, {out}/offline.md")
