"""Off-policy evaluation where the truth is known: by enumeration, by dynamic programming, and by the simulator."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from agents.random_slates import RandomSlates
from benchmark.first_sessions import first_sessions_of
from benchmark.ope.estimators import Estimate, doubly_robust, effective_size, ips, per_decision, self_normalised
from benchmark.ope.evaluation import LoggedSessions
from benchmark.ope.marginal import marginalised
from benchmark.ope.target import Target
from benchmark.ope.truth import true_return
from benchmark.run import training_envs
from recsim_env.agent import AgentConfig, WorldSpec
from recsim_env.errors import AgentError
from recsim_env.fitting.sessions import Sessions, first_sessions
from tests.benchmark.commands import run
from tests.worlds import LEVELS, MEAL, WORTH, TinyWorld

WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"


class AlwaysMeal(RandomSlates):
    """Shows the meal."""

    def act(self, observation: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        return np.full((len(observation["user"]), 1), MEAL)


# -- by enumeration: two steps, two states, two actions, and a session may end after one -----------------------

TARGET = np.array([0.9, 0.3])  # how likely it chooses action 1 in each state; the behaviour policy is even
REWARD = np.array([[1.0, 2.0], [0.0, 5.0]])  # of state and action
SAME = 8  # tickets of a step: of them 2 end the session, 2 or 4 (action 0, 1) keep the state, the others change it


def population() -> tuple[np.ndarray, ...]:
    """Every session as often as it comes: ratios, rewards, states (-1 behind the end), actions, each (N, 2)."""
    rows = []
    for state, first, ticket, second in itertools.product((0, 1), (0, 1), range(SAME), (0, 1)):
        over = ticket < 2
        after = -1 if over else state if ticket < 4 + 2 * first else 1 - state
        likely = [TARGET[s] if a else 1 - TARGET[s] for s, a in ((state, first), (after, second))]
        ratios = [2 * likely[0], 1.0 if over else 2 * likely[1]]
        rows.append((ratios, [REWARD[state, first], 0.0 if over else REWARD[after, second]], [state, after]))
    return tuple(np.array(column, float) for column in zip(*rows, strict=True))


def truth() -> float:
    """By dynamic programming."""
    chance = np.stack([1 - TARGET, TARGET], axis=1)
    last = (chance * REWARD).sum(axis=1)
    value = 0.0
    for state, action in itertools.product((0, 1), (0, 1)):
        keep = (2 + 2 * action) / SAME
        later = keep * last[state] + (1 - 2 / SAME - keep) * last[1 - state]
        value += 0.5 * chance[state, action] * (REWARD[state, action] + later)
    return value


def test_weighted_estimates_of_the_whole_population_are_the_truth() -> None:
    ratios, rewards, states = population()
    assert ratios.prod(axis=1).mean() == pytest.approx(1.0)
    for estimate in (ips(ratios, rewards), self_normalised(ratios, rewards), per_decision(ratios, rewards)):
        assert estimate.value == pytest.approx(truth())
    kinds = states.astype(int)
    assert marginalised(ratios, rewards, kinds, np.random.default_rng(0)).value == pytest.approx(truth())


@pytest.mark.parametrize("wrong", [0.0, 3.0])
def test_doubly_robust_is_the_truth_with_any_model_or_with_right_weights(wrong: float) -> None:
    """A model that is wrong by any function of the state and action: its expectation under the target is taken."""
    ratios, rewards, states = population()
    chosen = (ratios > 1) == (TARGET[states.astype(int)] > 0.5)  # action 1 where the target likes it more than evenly
    model = wrong * np.array([[1.0, -2.0], [0.5, 4.0]])
    state, action, there = np.maximum(states, 0).astype(int), chosen.astype(int), states >= 0
    shown = np.where(there, model[state, action], 0.0)
    expected = np.where(there, (np.stack([1 - TARGET, TARGET], axis=1) * model).sum(axis=1)[state], 0.0)
    assert doubly_robust(ratios, rewards, shown, expected).value == pytest.approx(truth())


def test_effective_size_counts_equal_weights() -> None:
    assert effective_size(np.array([3.0, 3.0, 3.0, 0.0])) == pytest.approx(3.0)
    assert effective_size(np.zeros(3)) == 0.0
    assert not Estimate(0.0, 0.0, 0.0, 49.0).trusted


# -- in the smallest world -------------------------------------------------------------------------------------


def meals(world: TinyWorld, greedy: float, horizon: int) -> float:
    """The mixture's return by dynamic programming."""
    chance, values, stay = np.array([(1 - greedy) / 2, (1 + greedy) / 2]), np.zeros(LEVELS), 1.0 - world.leave
    for _ in range(horizon):
        later = np.c_[np.r_[0.0, values[:-1]], np.r_[values[1:], values[-1]]]
        values = (WORTH + stay * later) @ chance
    return float(values.mean())


@pytest.fixture(scope="module")
def logged() -> LoggedSessions:
    """4,000 sessions of random slates, and an agent that would show meals."""
    return logged_of(seed=1)


def logged_of(seed: int, count: int = 4000) -> LoggedSessions:
    world = TinyWorld()
    agent = AlwaysMeal(AgentConfig(), WorldSpec.of(training_envs(AlwaysMeal, AgentConfig(), world, 0, 1)))
    log = first_sessions_of(world, RandomSlates(AgentConfig(), agent.spec), {}, count, seed, most=6)
    return LoggedSessions(first_sessions(log, world), agent, 6)


def test_every_estimate_is_near_the_truth(logged: LoggedSessions) -> None:
    for greedy in (0.2, 0.6):
        right = meals(TinyWorld(), greedy, 6)
        for name, estimate in logged.estimates(greedy).items():
            assert estimate.value == pytest.approx(right, rel=0.05), name
            if name != "direct method":
                assert estimate.low - 0.02 < right < estimate.high + 0.02, name


def test_of_the_logged_policy_they_are_what_was_logged(logged: LoggedSessions) -> None:
    found, mean = logged.estimates(0.0), logged.rewards.sum(axis=1).mean()
    for name in ("ips", "self-normalised ips", "per-decision ips", "marginalised ips"):
        assert found[name].value == pytest.approx(mean)


def test_doubly_robust_is_narrower_than_weights_alone(logged: LoggedSessions) -> None:
    found = logged.estimates(0.6)
    width = {name: one.high - one.low for name, one in found.items()}
    assert width["doubly robust"] < width["per-decision ips"] < width["ips"]


def test_doubly_robust_covers() -> None:
    """60 logs; of a 95 % interval fewer than 51 hits come once in 3,000 times."""
    right, hits = meals(TinyWorld(), 0.4, 6), 0
    for seed in range(60):
        found = logged_of(seed, 400).estimates(0.4)["doubly robust"]
        hits += found.low <= right <= found.high
    assert hits >= 51


def test_the_truth_is_the_simulators() -> None:
    agent = logged_of(0, 400).agent
    found = true_return(Target(agent, 0.6), TinyWorld(), {}, 6, 6000, seed=0)
    assert found.low < meals(TinyWorld(), 0.6, 6) < found.high


def test_an_agent_that_draws_is_refused(logged: LoggedSessions) -> None:
    random = RandomSlates(AgentConfig(), logged.agent.spec)
    with pytest.raises(AgentError, match="RandomSlates draws its slates"):
        Target(random, 0.5).own_slates(dict(logged.log.observations))


def test_a_log_cut_short_is_evaluated_up_to_there(logged: LoggedSessions) -> None:
    sessions = first_sessions(logged.log, TinyWorld())
    assert isinstance(sessions, Sessions) and sessions.cut == 6


# -- the command -----------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of what lin_ucb would see."""
    path = tmp_path / "log.parquet"
    assert run(monkeypatch, *f"collect {WORLD} --sessions 400 --out {path}".split()) == 0
    return path


def test_the_command_prints_estimates_and_their_errors(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = tmp_path / "runs"
    assert (
        run(monkeypatch, *f"bench {WORLD} --agents popular --seeds 1 --steps 1280 --users 20 --out {agent}".split())
        == 0
    )
    trained = next(agent.rglob("agent"))
    capsys.readouterr()
    assert (
        run(
            monkeypatch, *f"ope {log} --scenario {WORLD} --agent {trained} --greedy 0.3 --horizon 3 --truth 500".split()
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert "popular at 30 % of the steps" in shown and "The truth:" in shown and "Not to be trusted" not in shown
    assert run(monkeypatch, *f"ope {log} --scenario {WORLD} --agent {trained} --horizon 20 --truth 0".split()) == 0
    shown = capsys.readouterr().out
    assert "Not to be trusted: ips" in shown and "The truth:" not in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--agent random --horizon 0", "--horizon must be 1 or more, not 0"),
        ("--agent random --greedy 1.5", "--greedy must lie in [0, 1], not 1.5"),
        ("--agent random", "draws its slates"),
        ("--agent dqn", "dqn learns: give the folder of a trained one"),
        ("--agent myopic_oracle", "lacks the appeal that myopic_oracle sees"),
    ],
)
def test_mistakes_are_told(
    options: str, words: str, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *f"ope {log} --scenario {WORLD} {options}".split()) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("told", [True, False], ids=["by its run", "by what it does"])
def test_an_agent_of_another_world_is_told(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: bool
) -> None:
    out, other = tmp_path / "runs", "interest_evolution --agents tabular_q --seeds 1 --steps 1280 --users 20"
    assert run(monkeypatch, *f"bench {other} --workers 1 --out {out}".split()) == 0
    trained = next(out.rglob("agent"))
    if not told:
        (trained.parent / "run.json").write_text('{"agent": "tabular_q"}')
    capsys.readouterr()
    for words in (f"ope {log} --scenario {WORLD}", f"evaluate {WORLD}"):
        assert run(monkeypatch, *f"{words} --agent {trained}".split()) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and str(trained) in said
        assert ("was trained in interest_evolution, whose user fields are" if told else "for this world") in said
