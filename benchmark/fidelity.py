"""The command `fidelity`: reference figures of the worlds beside ours, as a table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.myopic_oracle import MyopicOracle
from agents.random_slates import RandomSlates
from benchmark.evaluation import evaluate
from benchmark.listing import first_line
from benchmark.reference_policies import (
    BayesianVisitor,
    Insider,
    KnowsType,
    LeastClickbait,
    QualityFirst,
    TiesToTheHighest,
    TopicQuality,
    WithoutMemory,
)
from recsim_env.agent import Agent, AgentConfig, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.errors import InvalidParameter
from recsim_env.files import check_place, whole
from recsim_env.registration import find_world
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from scenarios.interest_exploration import InterestExploration

SEED = 20261124  # of all figures, fixed before any was looked at
SESSIONS = 20_000
FEWEST = 5_000
LARGEST = 3.0  # combined standard errors
ROUNDING = 1 / math.sqrt(12)  # standard deviation of a rounding error, in units of the last digit
STEPS, ENGAGEMENT = "clicks a step", "engagement"
SHOPS = 0.0014  # standard deviation of organic_bandit's click rate over 20 world seeds: the original's shop is unknown


@dataclass(frozen=True)
class Figure:
    """One reference figure: the mean over sessions of a policy's engagement, or its clicks a step.

    Attributes:
        world: its name and preset.
        policy: who recommends.
        reference: the number; None where the source gives none.
        error: its standard error; where the source gives none, what rounding to the digits shown leaves.
        unit: what is compared.
        parameters: of the world, on top of the preset's.
        source: where the reference comes from.
        items: the file of SARDINE's item vectors that the figure was measured with.
        sessions: how many we play.
    """

    world: str
    policy: type[Agent]
    reference: float | None
    error: float
    source: str
    unit: str = ENGAGEMENT
    parameters: dict[str, Any] = field(default_factory=dict)
    items: str = ""
    sessions: int = SESSIONS

    @property
    def name(self) -> str:
        told = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"{self.world} {told}".strip()

    def settings(self, folder: Path | None) -> dict[str, Any]:
        """The world's parameters, with SARDINE's items where the figure needs them."""
        return self.parameters | ({"items": str(folder / self.items)} if self.items and folder else {})


LOGIT, PROPORTIONAL = {"choice": "multinomial_logit"}, {"choice": "proportional"}
MANY, FEW = "sardine_items.npy", "sardine_items_rerank.npy"
RECSIM = "RecSim's program (Ie et al., 2019, arXiv:1909.04847)"
RECOGYM = "RecoGym's program (Rohde et al., 2018, arXiv:1808.00720)"
SARDINE = "SARDINE's program (Deffayet et al., 2024)"
INDEPENDENT = "computed for this preset of ours, independently of this code"


def boredom(preset: str, policy: type[Agent], reference: float | None, error: float) -> Figure:
    """A figure of SARDINE, whose presets belong to its own items."""
    items = FEW if preset.startswith("rerank") else MANY
    sessions = SESSIONS if items == FEW else FEWEST
    return Figure(f"boredom:{preset}", policy, reference, error, SARDINE, items=items, sessions=sessions)


def exploration(preset: str, policy: type[Agent], reference: float, sessions: int = SESSIONS) -> Figure:
    """Clicks a step, known to three digits."""
    source = INDEPENDENT if preset else RECSIM
    return Figure(
        f"interest_exploration{preset}", policy, reference, 0.001 * ROUNDING, source, STEPS, sessions=sessions
    )


FIGURES: tuple[Figure, ...] = (
    Figure("interest_evolution", RandomSlates, 159.25, 0.15, RECSIM, parameters=LOGIT),
    Figure("interest_evolution", MyopicOracle, 166.75, 0.29, RECSIM, parameters=LOGIT),
    Figure("interest_evolution", TopicQuality, 266.8, 0.4, RECSIM, parameters=LOGIT),
    Figure("interest_evolution", RandomSlates, 160.19, 0.15, RECSIM, parameters=PROPORTIONAL),
    Figure("interest_evolution", MyopicOracle, 167.75, 0.28, RECSIM, parameters=PROPORTIONAL),
    Figure("interest_evolution", TopicQuality, 263.6, 0.5, RECSIM, parameters=PROPORTIONAL),
    Figure("interest_evolution", RandomSlates, 92.64, 0.17, RECSIM, parameters={"choice": "cascade"}),
    exploration("", RandomSlates, 0.229),
    exploration("", QualityFirst, 0.389),
    exploration(":niche", RandomSlates, 0.442),
    exploration(":niche", QualityFirst, 0.489),
    exploration(":niche", WithoutMemory, 0.496),
    exploration(":niche", BayesianVisitor, 0.600, FEWEST),
    exploration(":niche", KnowsType, 0.620),
    Figure("organic_bandit", RandomSlates, 0.01086, SHOPS, RECOGYM, STEPS),
    Figure("long_term_satisfaction", RandomSlates, 948.0, 1.5, RECSIM),
    Figure("long_term_satisfaction", MyopicOracle, 1136.0, 1.6, RECSIM),
    Figure("long_term_satisfaction:hard", RandomSlates, 961.5, 1.3, INDEPENDENT),
    Figure("long_term_satisfaction:hard", MyopicOracle, 509.8, 0.7, INDEPENDENT),
    Figure("long_term_satisfaction:hard", LeastClickbait, 1574.7, 2.0, INDEPENDENT),
    Figure("long_term_satisfaction:harvest", RandomSlates, 1265, ROUNDING, INDEPENDENT),
    Figure("long_term_satisfaction:harvest", MyopicOracle, 209, ROUNDING, INDEPENDENT),
    Figure("long_term_satisfaction:harvest", LeastClickbait, 4910, 10 * ROUNDING, INDEPENDENT),
    boredom("single_static", RandomSlates, 8.64, 0.09),
    boredom("single_static", MyopicOracle, 100.0, 0.1 * ROUNDING),
    boredom("single_influence", RandomSlates, 8.95, 0.09),
    boredom("single_influence", MyopicOracle, None, 0.0),
    boredom("single_uncertain", RandomSlates, 11.51, 0.10),
    boredom("single_uncertain", MyopicOracle, None, 0.0),
    boredom("slate", RandomSlates, 43.7, 0.2),
    boredom("slate", MyopicOracle, 145.9, 1.1),
    boredom("slate_influence", RandomSlates, 41.7, 0.3),
    boredom("slate_influence", MyopicOracle, None, 0.0),
    boredom("slate_uncertain", RandomSlates, 70.1, 0.25),
    boredom("slate_uncertain", MyopicOracle, None, 0.0),
    boredom("rerank_static", RandomSlates, 14.62, 0.05),
    boredom("rerank_static", MyopicOracle, None, 0.0),
    boredom("rerank_bored", RandomSlates, 13.08, 0.05),
    boredom("rerank_bored", MyopicOracle, None, 0.0),
    boredom("rerank_bored", TiesToTheHighest, None, 0.0),
)


@dataclass(frozen=True)
class Measured:
    """A figure and what we find, with its standard error."""

    figure: Figure
    ours: float
    error: float

    @property
    def distance(self) -> float:
        """From the reference, in combined standard errors; NaN where there is none."""
        if self.figure.reference is None:
            return math.nan
        difference, error = self.ours - self.figure.reference, math.hypot(self.error, self.figure.error)
        return difference / error if error > 0 else (0.0 if difference == 0 else math.inf)

    @property
    def agrees(self) -> bool:
        """Whether the reference lies within three combined standard errors, or there is none."""
        return not abs(self.distance) > LARGEST


def measure(figure: Figure, folder: Path | None = None, sessions: int = 0) -> Measured:
    """Play the figure's sessions; where they need SARDINE's items, with those in `folder`."""
    count = sessions or figure.sessions
    scenario = find_world(figure.world).make(**figure.settings(folder))
    spec = WorldSpec.of(RecVectorEnv(scenario, 1, Options(observe=figure.policy.observe)))
    agent = figure.policy(AgentConfig(), spec)
    if isinstance(agent, Insider) and isinstance(scenario, InterestExploration):
        agent.enter(scenario)
    table = evaluate(agent, scenario, users=count, seed=SEED, purpose=Purpose.TEST).table
    engagement, clicks, length = (table[name].to_numpy(float) for name in ("engagement", "clicks", "length"))
    if figure.unit == ENGAGEMENT:
        return Measured(figure, float(engagement.mean()), float(engagement.std(ddof=1) / math.sqrt(count)))
    rate = clicks.sum() / length.sum()  # pooled over users
    error = (clicks - rate * length).std(ddof=1) / (length.mean() * math.sqrt(count))
    return Measured(figure, float(rate), float(error))


def measure_all(folder: Path | None, sessions: int, tell: Callable[[str], None]) -> Iterator[Measured]:
    """Every figure; without a folder those that need SARDINE's items are left out, and named."""
    for figure in FIGURES:
        if figure.items and folder is None:
            tell(f"{figure.name}: left out; its reference figures need {figure.items} (--items FOLDER)")
            continue
        measured = measure(figure, folder, sessions)
        tell(f"{figure.name}, {label(figure.policy)}: {measured.ours:.4g} ± {measured.error:.2g}")
        yield measured


def label(policy: type[Agent]) -> str:
    """`RandomSlates` as "random slates"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", policy.__name__).lower()


def as_markdown(rows: Sequence[Measured]) -> str:
    """The table, with a line a figure."""
    titles = ["world", "policy", "what", "reference", "from", "ours", "sessions", "difference in standard errors"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        figure = row.figure
        reference = "none" if figure.reference is None else f"{figure.reference:g} ± {figure.error:.2g}"
        far = "" if math.isnan(row.distance) else f"{row.distance:+.1f}"
        digits = 4 if figure.unit == STEPS else 2
        ours = f"{row.ours:.{digits}f} ± {row.error:.{digits}f}"
        cells = [
            figure.name,
            label(figure.policy),
            figure.unit,
            reference,
            figure.source,
            ours,
            f"{figure.sessions:,}",
            far,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    policies = {label(row.figure.policy): first_line(row.figure.policy) for row in rows}
    lines += ["", *(f"- {name}: {what}" for name, what in policies.items())]
    return "\n".join(lines) + "\n"


def check_folder(folder: Path | None) -> None:
    missing = [name for name in (MANY, FEW) if folder and not (folder / name).is_file()]
    if missing:
        raise InvalidParameter(f"--items {folder} holds no {missing[0]}; give the folder of SARDINE's item vectors")


def write_fidelity(out: Path | None, folder: Path | None) -> None:
    """Measure, print, and write the page where `out` says so.

    Raises:
        InvalidParameter: the folder lacks a file of items. RunFolderError: `out` cannot be written.
    """
    check_folder(folder)
    if out:
        check_place(out)  # before what takes minutes
    rows = list(measure_all(folder, 0, lambda line: print(line, flush=True)))
    beyond = [row for row in rows if not row.agrees]
    compared = sum(row.figure.reference is not None for row in rows)
    print(f"{compared} reference figures: {compared - len(beyond)} within {LARGEST:g} combined standard errors, "
          f"{len(beyond)} beyond")  # fmt: skip
    if out:
        with whole(out) as part:
            part.write_text(PAGE + as_markdown(rows), encoding="utf-8")
        print(f"written: {out}")


PAGE = f"""# Fidelity

Reference figures of the worlds beside ours. The column "from" says where each reference comes from: it was measured
with the original program, or, for the presets `niche`, `hard` and `harvest`, which are ours, computed independently of
this code. This page was measured and written by `recsim-env fidelity --items FOLDER --out docs/fidelity.md`, where
`FOLDER` holds the two files of SARDINE's items, to which its presets belong. The seed of all figures is {SEED}, fixed
before looking; each user plays one session.

A figure agrees where it lies within {LARGEST:g} combined standard errors of the reference. Where the source states no
error, that of rounding to the digits shown stands for it (less than it really has, so the test is strict); for
organic_bandit, where the original's shop is unknown, the standard deviation of the figure over 20 shops. "none": the
source leaves the figure blank.

Policies rank candidates of equal score by position, the lower one first. The rule counts where a bored user of boredom
finds every item equally appealing: the row "ties to the highest" shows what the other order earns.

"""
