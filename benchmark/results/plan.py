"""What the results page is made of: worlds, agents, seeds and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.experiment import Experiment
from recsim_env.errors import unknown

FIRST = ("random", "myopic_oracle", "patient_oracle")  # what scores and comparisons are made with
REFERENCES = (*FIRST, "popular")
SUPERVISED = ("als", "item_knn", "ncf", "two_tower", "lstm", "sasrec", "autoencoder", "vae")
NEED_IDS = ("ease",)  # supervised recommenders for items with ids alone; a world names them among `also`
ROUNDS = 4  # of those that refit after each share of the budget
LEARNERS = ("lin_ucb", "thompson", "tabular_q", "pqn", "reinforce", "actor_critic")
# Agents that were mended or changed after their runs: those rows were taken out, until they are measured anew.
CHANGED = ("dqn", "pqn", "reinforce", "popular", "item_knn", "vae", "autoencoder", "sasrec")
SB3 = ("sb3:PPO", "sb3:DQN")
STEPS, SEEDS, MORE_SEEDS, USERS = 300_000, 3, 5, 1000
QUICK_STEPS, QUICK_SEEDS, QUICK_USERS = 60_000, 2, 500


@dataclass(frozen=True)
class ResultsWorld:
    """A world of the page.

    Attributes:
        scenario, parameters: as for `Experiment`.
        question: what it asks of a recommender.
        slate_q: the label of slate_q that fits its clicks, or "" where none does.
        dqn: the label of dqn that fits it.
        also: labels beside those of every world.
        without: agents that cannot be used there.
        seeds: of every agent; those named by `more_seeds` get `MORE_SEEDS`.
        note: what a reader must know of how this was decided.
        caution: what its table does not show, whatever was measured.
    """

    scenario: str
    question: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    slate_q: str = "slate_q"
    dqn: str = "dqn"
    also: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    seeds: int = SEEDS
    note: str = ""
    caution: str = ""

    def twins(self) -> dict[str, str]:
        """Agents that look ahead, and the same agent that does not."""
        names = [name for name in ("tabular_q", self.dqn, "pqn", "reinforce", "actor_critic", self.slate_q) if name]
        return {name: myopic(name) for name in names if name.partition("@")[0] not in self.without}

    def agents(self, quick: bool) -> list[str]:
        """Labels, the longest first; quick: without rounds, offline twins and Stable-Baselines3."""
        looking_ahead = self.twins()
        full = [*SB3, *(f"{name}@rounds={ROUNDS}" for name in SUPERVISED), f"{self.dqn}@offline=true"]
        full += [f"{self.slate_q}@offline=true"] if self.slate_q else []
        ahead = [*looking_ahead, *looking_ahead.values()]
        labels = [*ahead, *([] if quick else full), *SUPERVISED, *LEARNERS, *self.also, *REFERENCES]
        return [label for label in dict.fromkeys(labels) if label.partition("@")[0] not in self.without]

    def experiment(self, quick: bool, data: str, only: Sequence[str] = ()) -> Experiment:
        """All its runs, or those of some of its agents.

        Raises:
            UnknownName: an agent is not of the plan.
        """
        parameters = {**self.parameters, **({"data": data} if self.scenario == "movielens" else {})}
        steps, seeds, users = (QUICK_STEPS, QUICK_SEEDS, QUICK_USERS) if quick else (STEPS, self.seeds, USERS)
        planned = self.agents(quick)
        for label in only:
            if label not in planned:
                raise unknown(f"agent of the results in {self.scenario}", label, planned)
        agents: dict[str, dict[str, Any]] = {label: {} for label in planned if not only or label in only}
        seeds_of = {} if quick else {label: MORE_SEEDS for label in self.more_seeds() if label in agents}
        return Experiment({self.scenario: parameters}, agents, seeds, steps, users, "partial", seeds_of)

    def more_seeds(self) -> list[str]:
        """Labels of dqn, slate_q and their twins."""
        return [label for pair in self.twins().items() if pair[0] in (self.dqn, self.slate_q) for label in pair]


def is_supervised(label: str) -> bool:
    """Whether an agent learns from logs what is liked, and looks no step ahead."""
    return label.partition("@")[0] in (*SUPERVISED, *NEED_IDS)


def myopic(label: str) -> str:
    """The label of an agent with gamma 0."""
    parts = [part for part in label.split("@") if not part.startswith("gamma=")]
    return "@".join([*parts, "gamma=0"])


WORLDS = {
    "interest_evolution": ResultsWorld(
        "interest_evolution",
        "Videos that people like best cost them the time that good videos would bring back. Does a recommender give "
        "up clicks now for a longer session?",
        {"num_candidates": 10, "slate_size": 3},
        caution="popular has nothing to learn here: interests are drawn alike for all topics, so that every topic has "
        "the same expected click rate, and its row is the luck of the log.",
    ),
    "boredom": ResultsWorld(
        "boredom:slate_influence",
        "Five clicks on a topic within ten bore people for a while, and clicks move their taste. Does a recommender "
        "vary its slates before that happens?",
        slate_q="slate_q@clicks=independent@gamma=0.9@n_step=4@batch=128@replay=25000@users=128",
        also=("dqn@gamma=0.9@n_step=4", "actor_critic@gamma=0.9", "reinforce@gamma=0.9@credit=shown"),
        without=("sb3:DQN", "sb3:PPO"),
        note="slate_q's settings were chosen in trials of one seed by this world's validation users; its batch, replay "
        "and 128 users side by side, so that it takes less time. The other settings with gamma 0.9 were tried with a "
        "seed of their own, after the defaults had been measured. sb3:DQN numbers ordered slates, of which there are "
        "too many here; sb3:PPO has not been measured. Of the figures kept some twenty runs come from a machine with "
        "slower cores, which their seconds show.",
    ),
    "long_term_satisfaction": ResultsWorld(
        "long_term_satisfaction:hard",
        "Clickbait engages now and wears satisfaction out. Does a recommender keep its hands off it?",
        slate_q="slate_q@n_step=5",
        dqn="dqn@n_step=5",
        also=("dqn", "slate_q"),
        seeds=MORE_SEEDS,
        note="Five seeds of every agent, and returns of five steps for one dqn and one slate_q, were decided on after "
        "a first measurement here with three seeds and the defaults.",
    ),
    "movielens": ResultsWorld(
        "movielens",
        "People choose films by taste and fame, and stay for their quality, which shows only in the watching. Does a "
        "recommender learn what keeps them?",
        also=("ease", f"ease@rounds={ROUNDS}"),
        without=("sb3:DQN",),
        note="sb3:DQN numbers ordered slates, of which there are too many here. Seconds are those of a machine with "
        "slower cores that had other work too.",
    ),
}
