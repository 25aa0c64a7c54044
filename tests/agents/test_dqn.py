"""dqn's options: n-step returns, prioritized replay, dueling, offline, and candidates kept by their ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents import off_policy
from agents.dqn import DQN, QNetwork, Training
from agents.random_slates import RandomSlates
from agents.replay import LEAST_PRIORITY, Offers, Replay, n_step
from agents.torch_tools import initialise, seeded
from recsim_env.agent import AgentConfig, NoLog, WorldSpec
from recsim_env.agent_checks import check_agent
from recsim_env.env import RecVectorEnv
from recsim_env.logs import collect
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from scenarios.movielens import MovieLens
from tests.agents.learning import WORLD, Case, engagement, trained
from tests.made_up import write_movielens
from tests.worlds import TinyWorld, tiny_optimum

CPU = torch.device("cpu")
SMALL = {"learning_rate": 1e-3, "totals": False}
STEPS = 30_000


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return MovieLens(data=str(write_movielens(tmp_path_factory.mktemp("movielens"))), factors=4, not_again=10)


# -- n-step returns ----------------------------------------------------------------------------------


def test_n_step_returns_stop_at_a_sessions_end() -> None:
    """Four users, three steps: one goes on, one is over after two steps, one is cut after two, one after one."""
    rewards = np.array([[1.0, 1, 1, 1], [2, 2, 2, 2], [4, 4, 4, 4]])
    terminated = np.array([[False] * 4, [False, True, False, False], [False] * 4])
    ended = terminated | np.array([[False, False, False, True], [False, False, True, False], [False] * 4])
    returns, last, discounts = n_step(rewards, terminated, ended, 0.5)
    assert returns.tolist() == [1 + 0.5 * 2 + 0.25 * 4, 1 + 0.5 * 2, 1 + 0.5 * 2, 1]
    assert last.tolist() == [2, 1, 1, 0]
    assert discounts.tolist() == [0.125, 0.0, 0.25, 0.5]


@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_one_step_is_plain(gamma: float) -> None:
    rewards, over = np.array([[1.0, 2.0]]), np.array([[False, True]])
    returns, last, discounts = n_step(rewards, over, over, gamma)
    assert (returns.tolist(), last.tolist(), discounts.tolist()) == ([1.0, 2.0], [0, 0], [gamma, 0.0])


CUT = Case(STEPS, {**SMALL, "n_step": 3})


def test_three_steps_bootstrap_where_sessions_are_cut() -> None:
    """Sessions of two steps: only who values what follows the cut learns to be patient."""
    assert engagement(trained("dqn", 0, CUT, TinyWorld(horizon=2))) >= 0.95 * tiny_optimum(WORLD)


def test_three_steps_without_the_bootstrap_at_the_cut_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a cut session counts as over."""
    monkeypatch.setattr(
        off_policy, "n_step", lambda rewards, terminated, ended, gamma: n_step(rewards, ended, ended, gamma)
    )
    assert engagement(trained("dqn", 0, CUT, TinyWorld(horizon=2))) < 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize(
    "settings",
    [
        {"double": False},
        {"dueling": True},
        # Its returns are those of who explores: at gamma 0.9 the best policy of who errs in 5 % is the optimum too.
        {"n_step": 3, "gamma": 0.9, "replay": 5000},
        {"prioritized": 0.6},
        {"offline": True, "replay": 1000},
    ],
)
def test_each_option_reaches_the_optimum(settings: dict[str, Any]) -> None:
    assert engagement(trained("dqn", 0, Case(STEPS, {**SMALL, **settings}))) >= 0.95 * tiny_optimum(WORLD)


def test_all_options_together_keep_the_contract(movielens: Scenario) -> None:
    config = DQN.Config(double=False, dueling=True, n_step=3, prioritized=0.6, next_candidates=8)
    check_agent(DQN, movielens, config=config)
    check_agent(DQN, TinyWorld(), config=DQN.Config(offline=True), steps=2048)


# -- replay ------------------------------------------------------------------------------------------


def filled(exponent: float) -> Replay:
    """Four transitions, whose errors were 0, 1, 2 and 5, in room for four; two older ones were replaced."""
    replay = Replay(4, CPU, exponent)
    replay.add({"x": torch.tensor([8.0, 9.0])})
    replay.add({"x": torch.arange(4.0)})
    replay.tell(torch.tensor([2, 3, 0, 1]), torch.tensor([0.0, -1.0, 2.0, -5.0]))
    return replay


def test_the_oldest_are_replaced() -> None:
    assert filled(0.0)[torch.arange(4)]["x"].tolist() == [2.0, 3.0, 0.0, 1.0]
    small = Replay(3, CPU)
    small.add({"x": torch.arange(5.0)})
    assert sorted(small[torch.arange(3)]["x"].tolist()) == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0])
def test_transitions_come_as_often_as_their_priority_says(exponent: float) -> None:
    draws = 100_000
    replay = filled(exponent)
    values = replay[replay.draw(draws, seeded(0, CPU))]["x"].long()
    shares = (np.array([0.0, 1.0, 2.0, 5.0]) + LEAST_PRIORITY) ** exponent
    shares /= shares.sum()
    error = np.bincount(values, minlength=4) / draws - shares
    assert (np.abs(error) < 5 * np.sqrt(shares * (1 - shares) / draws)).all()


def test_importance_weights_undo_the_priorities() -> None:
    """At beta 1 weights are in inverse proportion to how often places are drawn; at 0 they are all 1."""
    replay, places = filled(0.6), torch.arange(4)
    product = replay.weights(places, 1.0) * replay.priorities
    assert torch.allclose(product, product[0].expand(4))
    assert replay.weights(places, 1.0).max() == 1.0
    assert replay.weights(places, 0.0).tolist() == [1.0] * 4
    assert torch.allclose(replay.weights(places, 0.5), replay.weights(places, 1.0).sqrt())


def test_new_transitions_have_the_highest_priority() -> None:
    replay = filled(1.0)
    replay.add({"x": torch.tensor([7.0])})
    assert replay.priorities[2] == replay.priorities.max() == 5.0 + LEAST_PRIORITY


# -- what is kept of candidates ----------------------------------------------------------------------


def test_of_a_catalogue_the_ids_of_a_sample_are_kept(movielens: Scenario) -> None:
    envs = RecVectorEnv(movielens, 16, Options())
    agent = DQN(DQN.Config(), WorldSpec.of(envs))
    observation, _ = envs.reset(seed=0)
    observation["mask"] = (np.random.default_rng(1).random((16, movielens.num_candidates)) < 0.6).astype(np.float32)
    agent.features.fit([observation])
    kept = Offers(agent.features, 8, np.random.default_rng(0)).keep(observation)
    assert kept["ids"].shape == (16, 8)
    assert kept["ids"].dtype == torch.int32
    assert kept["allowed"].all()
    allowed = [set(ids[mask > 0]) for ids, mask in zip(observation["candidate_ids"], observation["mask"], strict=True)]
    assert all(set(row) <= of and len(set(row)) == 8 for row, of in zip(kept["ids"].tolist(), allowed, strict=True))


def test_all_candidates_come_back_as_they_were(movielens: Scenario) -> None:
    envs = RecVectorEnv(movielens, 4, Options())
    observation, _ = envs.reset(seed=0)
    agent = DQN(DQN.Config(), WorldSpec.of(envs))
    agent.features.fit([observation])
    offers = Offers(agent.features, 10_000, np.random.default_rng(0))
    kept = offers.keep(observation)
    assert torch.equal(offers.items(kept), agent.features.items(observation))
    assert torch.equal(kept["allowed"], agent.features.allowed(observation))


# -- dueling, double, offline ------------------------------------------------------------------------


def test_dueling_values_have_the_users_value_as_their_mean_over_what_is_on_offer() -> None:
    network = QNetwork(3, 2, 8, dueling=True)
    generator = seeded(0, CPU)
    initialise(network, generator)
    users, items = torch.randn(5, 3, generator=generator), torch.randn(5, 4, 2, generator=generator)
    allowed = torch.tensor([True, True, False, True]).expand(5, 4)
    values = network(users, items, allowed)
    assert network.user is not None
    assert torch.allclose(values[:, [0, 1, 3]].mean(1), network.user(users), atol=1e-5)
    some = network.of_some(users, items[:, 1:3], items, allowed)
    assert torch.allclose(some, values[:, 1:3], atol=1e-5)


@pytest.mark.parametrize(("double", "told"), [(True, 0), (False, 1)])
def test_double_targets_are_chosen_by_the_network_and_valued_by_the_target(double: bool, told: int) -> None:
    """The network prefers candidate 0, the target network candidate 1: `told` is whose value counts."""
    config = DQN.Config(double=double, totals=False)
    envs = RecVectorEnv(TinyWorld(), config.users, Options())
    observation, _ = envs.reset(seed=0)
    training = Training(DQN(config, WorldSpec.of(envs)), envs, 4096, NoLog())
    training.offers = Offers(training.agent.features, 64, np.random.default_rng(0))
    with torch.no_grad():
        for network, liked in ((training.agent.network, 0), (training.target, 1)):
            for weights in network.parameters():
                weights.zero_()
            candidates = network.candidates
            candidates.item.weight[0, liked] = candidates.middle.weight[0, 0] = candidates.value.weight[0, 0] = 1.0
    kept = {f"next_{name}": part for name, part in training.offers.keep(observation).items()}
    batch = {"next_users": training.agent.features.users(observation), "rewards": torch.zeros(64)}
    targets = training._targets({**kept, **batch, "discounts": torch.ones(64)})
    assert (targets == float(told)).all()


def test_offline_learns_from_the_log_that_supervised_agents_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, updates = [], []
    config = DQN.Config(offline=True, users=16, seed=3)
    envs = RecVectorEnv(TinyWorld(), 16, Options(totals=True))
    envs.reset(seed=0)
    step = envs.step
    monkeypatch.setattr(envs, "step", lambda slates: (shown.append(slates), step(slates))[1])

    def update(self: Training) -> dict[str, torch.Tensor]:
        updates.append(len(self.replay))
        return {"train/loss": torch.zeros(())}

    monkeypatch.setattr(Training, "update", update)
    agent = DQN(config, WorldSpec.of(envs))
    agent.train(InteractionBudget(envs, 1600), 1600, NoLog())
    assert len(updates) == 97 * config.updates  # as many as online: after each step but those of the warm-up
    assert set(updates) == {1600}
    other = RecVectorEnv(TinyWorld(), 16, Options(totals=True))
    other.reset(seed=0)
    log = collect(other, RandomSlates(AgentConfig(), agent.spec), 1600, np.random.default_rng([3, 0]))
    assert np.array_equal(np.concatenate(shown), log.slates)


def test_who_goes_on_does_not_start_at_random_again() -> None:
    agent = trained("dqn", 0, Case(4096, SMALL))
    training = Training(agent, RecVectorEnv(TinyWorld(), 64, Options()), 6400, NoLog())  # type: ignore[arg-type]
    observation, _ = RecVectorEnv(TinyWorld(), 1000, Options()).reset(seed=0)
    greedy = agent.act(observation, np.random.default_rng(0))
    assert (training._choose(observation) != greedy).mean() < 0.05  # half of epsilon's 5 % are the greedy ones
