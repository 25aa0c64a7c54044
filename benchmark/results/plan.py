"""What the results page is made of: worlds, agents, seeds and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.experiment import Experiment

REFERENCES = ("random", "popular", "myopic_oracle", "patient_oracle")
SUPERVISED = ("als", "item_knn", "ncf", "two_tower", "lstm", "sasrec", "autoencoder", "vae")
ROUNDS = 4  # of those that refit after each share of the budget
LEARNERS = ("lin_ucb", "thompson", "tabular_q", "dqn", "pqn", "reinforce", "actor_critic")
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
        without: agents that cannot be used there.
    """

    scenario: str
    question: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    slate_q: str = "slate_q"
    without: tuple[str, ...] = ()

    def twins(self) -> dict[str, str]:
        """Agents that look ahead, and the same agent that does not."""
        names = [name for name in ("tabular_q", "dqn", "pqn", "reinforce", "actor_critic") if name not in self.without]
        return {name: f"{name}@gamma=0" for name in names} | (
            {self.slate_q: myopic(self.slate_q)} if self.slate_q else {}
        )

    def agents(self, quick: bool) -> list[str]:
        """Labels, the longest first; quick: without rounds, offline twins and Stable-Baselines3."""
        looking_ahead = self.twins()
        full = [*SB3, *(f"{name}@rounds={ROUNDS}" for name in SUPERVISED), "dqn@offline=true"]
        full += [f"{self.slate_q}@offline=true"] if self.slate_q else []
        ahead = [*looking_ahead, *looking_ahead.values()]
        labels = [*ahead, *([] if quick else full), *SUPERVISED, *LEARNERS, *REFERENCES]
        return [label for label in dict.fromkeys(labels) if label.partition("@")[0] not in self.without]

    def experiment(self, quick: bool, data: str) -> Experiment:
        """All its runs."""
        parameters = {**self.parameters, **({"data": data} if self.scenario == "movielens" else {})}
        steps, seeds, users = (QUICK_STEPS, QUICK_SEEDS, QUICK_USERS) if quick else (STEPS, SEEDS, USERS)
        twins = self.twins()
        more = [label for pair in twins.items() if pair[0] in ("dqn", self.slate_q) for label in pair]
        seeds_of = {} if quick else dict.fromkeys(more, MORE_SEEDS)
        agents: dict[str, dict[str, Any]] = {label: {} for label in self.agents(quick)}
        return Experiment({self.scenario: parameters}, agents, seeds, steps, users, "partial", seeds_of)


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
    ),
    "boredom": ResultsWorld(
        "boredom:slate_influence",
        "Five clicks on a topic within ten bore people for a while, and clicks move their taste. Does a recommender "
        "vary its slates before that happens?",
        slate_q="slate_q@clicks=independent@gamma=0.9@n_step=4@batch=128@replay=25000",
        without=("sb3:DQN", "sb3:PPO"),
    ),
    "long_term_satisfaction": ResultsWorld(
        "long_term_satisfaction:hard",
        "Clickbait engages now and wears satisfaction out. Does a recommender keep its hands off it?",
    ),
    "movielens": ResultsWorld(
        "movielens",
        "People choose films by taste and fame, and stay for their quality, which shows only in the watching. Does a "
        "recommender learn what keeps them?",
    ),
}
