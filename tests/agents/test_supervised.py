"""The harness of supervised recommenders: what is logged, how it is divided, how it is fitted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import fitting
from agents.encoding import Encoder
from agents.fitting import Fit
from agents.impressions import Impressions, bag_of, ratings_spec, split
from agents.items import ItemIndex
from agents.journal import Journal, Softened
from agents.ncf import NCF, NCFConfig
from agents.ranking import discounted_gain, ndcg, rows_to_rank
from agents.torch_tools import weights_of
from recsim_env.agent import NoLog, WorldSpec, agent_class
from recsim_env.env import Observation, RecVectorEnv
from recsim_env.errors import AgentError, DataError
from recsim_env.parameters import build
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from scenarios.filter_bubble import FilterBubble
from scenarios.interest_evolution import InterestEvolution
from scenarios.interest_exploration import InterestExploration
from tests.agents import blocks
from tests.agents.tastes import Curves, Tastes, chances, finds_their_half, ratings_of_halves, trained_on

# Worlds of the registry, to see that logs say what observations say: with ids, and without.
WORLDS = {"ids": FilterBubble(), "nameless": InterestExploration()}
# Small ones whose luck is known.
SLATES = {"ids": Tastes(8, places=2), "nameless": Tastes(8, places=2, ids=False)}


def journal_of(envs: Any, spec: WorldSpec | None = None) -> Journal:
    spec = spec or envs.knows
    return Journal(envs, spec, Encoder(spec, ("history",)), ItemIndex(spec), np.random.default_rng(0))


def at_random(journal: Journal) -> Softened:
    return Softened(journal.spec, lambda seen: np.zeros((1, 1)), 1.0, journal.rng)


def logged(envs: Tastes, rounds: int = 60) -> Impressions:
    journal = journal_of(envs)
    return journal.play(rounds, at_random(journal))


def ratings() -> Impressions:
    """Three users' ratings of 6 items, mixed in time."""
    users = np.array([0, 1, 0, 2, 1, 0, 2, 0, 1, 0])
    return Impressions.of_ratings(users, np.array([3, 3, 1, 5, 2, 0, 3, 4, 0, 5]))


@pytest.mark.parametrize("name", list(WORLDS))
def test_what_was_logged_before_is_what_the_history_shows(name: str) -> None:
    envs = RecVectorEnv(WORLDS[name], 4, Options(history=3, jit=False))
    envs.reset(seed=5)
    journal, seen = journal_of(envs, WorldSpec.of(envs)), []
    random = at_random(journal)

    def choose(observation: Observation) -> Any:
        seen.append(observation)
        return random(observation)

    log = Impressions.join([journal.play(20, choose), journal.play(20, choose)])
    shown = log.context(np.arange(len(log)), history=3).history
    for part in ("items", "features", "labels", "clicked"):
        told = np.concatenate([getattr(journal.index.of_history(observation), part) for observation in seen])
        assert np.array_equal(getattr(shown, part), told), part
    assert (shown.items[log.step == 0] == -1).all() and (shown.items[log.step >= 3] >= 0).all()


@pytest.mark.parametrize("name", list(SLATES))
def test_items_are_numbered_alike_in_logs_and_in_observations(name: str) -> None:
    journal = journal_of(SLATES[name])
    log = journal.play(40, at_random(journal))
    before = journal.observation
    after = journal.play(1, at_random(journal))
    candidates = journal.index.of_candidates(before)
    assert all(np.isin(after.items[i], candidates[i]).all() for i in range(8))
    assert len(np.unique(log.items)) == 8  # 2 kinds x 4 charms, with or without ids
    if name == "nameless":
        assert np.allclose(journal.index.features[log.items], log.features, atol=1e-6)


@pytest.mark.parametrize("name", list(SLATES))
def test_other_offers_are_allowed_and_not_shown(name: str) -> None:
    journal, masked = journal_of(SLATES[name]), 0
    for _ in range(30):
        before = journal.observation
        log = journal.play(1, at_random(journal))
        allowed = before.get("mask", np.ones((8, 4))) > 0
        masked += int((~allowed).sum())
        assert ((log.offered >= 0).sum(axis=1) == np.maximum(allowed.sum(axis=1) - 2, 0)).all()
    assert (masked > 0) == (name == "nameless")


def test_a_step_with_1000_candidates_takes_little_memory() -> None:
    log = logged(Tastes(8, candidates=1000, places=10, items=1000), rounds=5)
    taken = sum(values.nbytes for values in vars(log).values())
    assert log.offered.shape[1] == 50 and taken / len(log) < 600  # bytes; all candidates would take 8,000


def test_propensities_are_how_often_a_candidate_is_shown() -> None:
    journal = journal_of(Tastes(20_000, candidates=5, places=2))
    choice = Softened(journal.spec, lambda seen: np.tile([5.0, 4, 3, 2, 1], (20_000, 1)), 0.3, journal.rng)(
        journal.observation
    )
    shown = np.bincount(choice.slates.ravel(), minlength=5) / 20_000
    assert shown == pytest.approx([0.82, 0.82, 0.12, 0.12, 0.12], abs=0.012)  # 0.7 + 0.3 x 2/5, and 0.3 x 2/5
    for candidate in range(5):
        assert choice.propensities[choice.slates == candidate] == pytest.approx(0.82 if candidate < 2 else 0.12)
    assert choice.explored.mean() == pytest.approx(0.3, abs=0.012) and choice.uniform == pytest.approx(0.4)


def test_weights_are_labels_as_random_slates_would_have_shown_them() -> None:
    journal = journal_of(Tastes(2000, places=2))
    scores: Callable[[Observation], np.ndarray] = lambda seen: seen["candidate_ids"]  # noqa: E731 - likes late items
    greedy = journal.play(20, Softened(journal.spec, scores, 0.2, journal.rng))
    random = journal.play(20, at_random(journal))
    clicks = [np.bincount(log.items.ravel(), log.clicked.ravel(), 8) / len(log) for log in (greedy, random)]
    worth = np.bincount(greedy.items.ravel(), greedy.weights(np.arange(len(greedy))).ravel(), 8) / len(greedy)
    assert clicks[0][7] > 1.4 * clicks[1][7]
    assert worth == pytest.approx(clicks[1], rel=0.15)


@pytest.mark.parametrize("by", ["user", "session", "last"])
def test_a_division_has_no_leak(by: str) -> None:
    log = logged(Tastes(20, places=2), rounds=100)
    held = split(log, 0.1, np.random.default_rng(0), by)
    assert 0.05 < held.mean() < 0.2
    if by == "user":
        assert not set(log.user[held]) & set(log.user[~held]) and len(set(log.user[held])) == 2
    if by == "session":
        assert not set(log.groups[held]) & set(log.groups[~held])
    for group in np.unique(log.groups[held]) if by == "last" else []:
        mine = log.groups == group
        assert log.step[mine & held].min() > log.step[mine & ~held].max(initial=-1)


def test_a_division_goes_down_to_what_can_be_divided() -> None:
    few = logged(Tastes(2), rounds=200)
    held = split(few, 0.1, np.random.default_rng(0), "user")
    assert set(few.user[~held]) == {0, 1} and not set(few.groups[held]) & set(few.groups[~held])
    held = split(ratings(), 0.4, np.random.default_rng(0), "last")
    assert np.flatnonzero(held).tolist() == [6, 7, 8, 9]  # user 0 has 5: the last 2; user 1 has 3, user 2 has 2
    with pytest.raises(DataError, match="at least 2 user-steps"):
        split(Impressions.of_ratings(np.array([0]), np.array([0])), 0.1, np.random.default_rng(0), "user")


def test_windows_hold_each_step_once_and_in_order() -> None:
    log = logged(SLATES["ids"], rounds=60)
    windows = log.windows(5)
    assert sorted(windows[windows >= 0].tolist()) == list(range(len(log)))
    for window in windows:
        rows = window[window >= 0]
        assert (window[: 5 - len(rows)] == -1).all() and len(np.unique(log.groups[rows])) == 1
        assert (np.diff(log.step[rows]) == 1).all() and log.step[rows[0]] % 5 == 0
    among = np.random.default_rng(0).random(len(log)) < 0.5
    some = log.windows(5, among)
    assert sorted(some[some >= 0].tolist()) == np.flatnonzero(among).tolist()


def test_bags_sum_what_was_liked() -> None:
    log = logged(SLATES["ids"], rounds=40)
    row = int(np.argmax(log.step))
    context = log.context(np.array([row]), history=50)
    liked = log.bags(8)[log.groups[row]].toarray()[0]
    mine = (log.groups == log.groups[row]) & (log.step >= log.step[row])
    later = np.bincount(log.items[mine].ravel(), log.labels[mine].ravel(), 8)
    assert np.array_equal(bag_of(context.history, 8)[0], liked - later)
    assert log.bags(8, by_user=True).sum() == log.labels.sum() and log.bags(8, by_user=True).shape == (8, 8)


def test_gain_is_that_of_the_ranking_and_ties_do_not_flatter() -> None:
    gains = np.array([[1.0, 0, 0], [0, 2, 1]])
    found, best = discounted_gain(np.array([[0.1, 0.5, 0.3], [0.0, 9, 1]]), gains)
    assert found == pytest.approx(1 / np.log2(4) + 2 + 1 / np.log2(3))
    assert best == pytest.approx(1 + 2 + 1 / np.log2(3))
    assert discounted_gain(np.zeros((1, 3)), gains[:1])[0] == pytest.approx(0.5)


def test_ranking_is_among_what_was_offered_or_all_that_is_new() -> None:
    log = logged(SLATES["ids"], rounds=40)
    rows = rows_to_rank(log, np.ones(len(log), bool), 8, np.random.default_rng(0))
    assert len(rows) and (log.labels[rows] > 0).any(axis=1).all()
    truth = ndcg(lambda context, items, features: chances(context.users[:, 1] > 0, items), log, rows, 8, 0)
    wrong = ndcg(lambda context, items, features: -chances(context.users[:, 1] > 0, items), log, rows, 8, 0)
    assert wrong + 0.2 < truth < 1.0
    rated = ratings()
    everything = np.arange(len(rated))
    scores = np.array([4, 3, 2, 1, 0.5, 0])  # of user 0, who rated 3, 1, 0, 4, 5
    ranks = {0: 3, 2: 1, 5: 0, 7: 1, 9: 1}  # what was rated before is left out
    mine = np.array(list(ranks))
    found = ndcg(lambda context, items, features: scores[items], rated, mine, 6, 0)
    assert found == pytest.approx(np.mean([1 / np.log2(2 + rank) for rank in ranks.values()]))
    assert len(rows_to_rank(rated, everything > 4, 6, np.random.default_rng(0))) == 5


def test_negatives_were_offered_and_not_shown() -> None:
    log, rng = logged(Tastes(8, candidates=8, places=2), rounds=10), np.random.default_rng(0)
    rows, everything = np.arange(len(log)), np.ones(len(log), bool)
    items, features = log.negatives(rows, 3, 8, rng, log.pairs(everything))
    assert items.shape == (len(log), 3) and features.shape == (len(log), 3, 0)
    assert all(set(items[i]) - {-1} <= set(log.offered[i]) for i in rows)


def test_negatives_do_not_spare_what_is_held_out() -> None:
    rated, rng = ratings(), np.random.default_rng(0)  # user 0 rated all but item 2, and 5 last
    items, _ = rated.negatives(np.zeros(1000, int), 2, 6, rng, rated.pairs(np.ones(10, bool)))
    assert set(items.ravel()) == {-1, 2}
    items, _ = rated.negatives(np.zeros(1000, int), 2, 6, rng, rated.pairs(np.arange(10) < 9))
    assert set(items.ravel()) == {-1, 2, 5}


def test_rounds_share_the_budget_and_go_on_where_the_users_are(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[Impressions] = []
    monkeypatch.setattr(NCF, "fit", lambda self, log, tell: fits.append(log))
    envs, spec = InteractionBudget(Tastes(10), 1000), Tastes().knows
    agent = NCF(NCFConfig(users=10, rounds=3, epsilon=0.25), spec)
    agent.train(envs, 1000, NoLog())
    assert [len(log) for log in fits] == [330, 660, 1000] and envs.spent == agent.played == 1000
    log = fits[-1]
    assert log.explored[:330].all() and 0.15 < log.explored[330:].mean() < 0.35
    assert all((np.diff(np.sort(log.step[log.groups == group])) == 1).all() for group in range(len(log.lengths)))
    assert (log.step[log.order[np.cumsum(log.lengths) - log.lengths]] == 0).all()
    envs = InteractionBudget(Tastes(10), 400)
    agent.train(envs, 400, NoLog())
    assert fits[3].explored.mean() < 0.5 and agent.played == 1400  # a trained agent starts with what it learnt


def test_a_budget_too_small_for_its_rounds_is_refused() -> None:
    with pytest.raises(AgentError, match="NCF needs a budget of at least one step of its 64 users in each of its 4 "):
        trained_on(Tastes(), "ncf", 4 * 64 - 1, {"rounds": 4})


@pytest.mark.parametrize("name", list(SLATES))
def test_a_loaded_agent_goes_on_with_several_rounds_bit_for_bit(name: str, tmp_path: Path) -> None:
    envs = SLATES[name]
    agent = NCF(NCFConfig(rounds=2, epochs=2), envs.knows)
    agent.train(envs, 1000, NoLog())
    agent.save(tmp_path)
    learnt = []
    for one in (agent, NCF.load(tmp_path, envs.knows)):
        one.train(Tastes(8, places=2, ids=name == "ids", seed=9), 500, NoLog())
        learnt.append(one.arrays())
    assert learnt[0].keys() == learnt[1].keys()
    assert all(np.array_equal(value, learnt[1][key]) for key, value in learnt[0].items())


def test_the_best_epoch_is_kept_and_the_last_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    qualities, seen = iter([0.2, 0.5, 0.5, 0.3, 0.1, 0.9]), []

    def scripted(score: Any, *rest: Any) -> float:
        seen.append({name: value.copy() for name, value in weights_of(score.__self__.network).items()})
        return next(qualities)

    monkeypatch.setattr(fitting, "ndcg", scripted)
    agent = trained_on(Tastes(), "ncf", 1280, {"patience": 3})
    assert len(seen) == 5  # three epochs without a better one
    kept = agent.arrays()
    assert all(np.array_equal(kept[name], value) for name, value in seen[1].items())
    assert any(not np.array_equal(kept[name], value) for name, value in seen[4].items())


def test_a_refit_starts_anew_and_is_as_long_as_was_best(monkeypatch: pytest.MonkeyPatch) -> None:
    qualities, starts, curves = iter([0.2, 0.5, 0.4, 0.3, 0.1]), [], Curves()
    before = NCF.before_fit

    def watched(self: NCF, fit: Fit, first: bool) -> None:
        copied = [value.copy() for value in weights_of(self.network).values()]
        starts.append((copied, int(fit.held.sum()), len(fit.fitted)))
        before(self, fit, first)

    monkeypatch.setattr(fitting, "ndcg", lambda *arguments: next(qualities))
    monkeypatch.setattr(NCF, "before_fit", watched)
    trained_on(Tastes(), "ncf", 1280, {"patience": 3, "refit": True}, curves)
    assert len(curves.points["train/loss"]) == 5 and len(curves.points["train/refit_loss"]) == 2
    (weights, held, fitted), (again, held_again, fitted_again) = starts
    assert all(np.array_equal(value, other) for value, other in zip(weights, again, strict=True))
    assert held > 0 and held_again == 0 and fitted_again == held + fitted == 1280


@pytest.mark.parametrize("name", ["autoencoder", "lstm", "ncf", "sasrec", "two_tower", "vae"])
def test_a_refit_learns_from_whom_it_held_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Item 4 is liked by those held out alone, item 5 by nobody."""
    liked = np.tile([1.0, 1, 1, 1, 0, 0], (60, 1)).astype(np.float32)
    liked[:12, 4] = 1.0
    monkeypatch.setattr(fitting, "split", lambda log, *rest: log.user < 12)
    settings = {"validation": 0.2, "history": 5, "epochs": 3, "learning_rate": 0.02, "batch": 16}
    settings |= {"negatives": 4, "epochs": 30, "patience": 30} if name == "ncf" else {}
    for refit in (False, True):
        agent = blocks.fitted(name, liked, refit=refit, **settings)
        values = blocks.scores(agent, 0, [0, 1, 2])
        assert (values[4] > values[5] + 1e-3) == refit


def test_without_a_positive_label_to_rank_the_validation_loss_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "rows_to_rank", lambda *arguments: np.zeros(0, int))
    curves = Curves()
    monkeypatch.setattr(Fit, "_validation_loss", lambda self: [3.0, 2.0, 2.5, 2.6][self.updates // 36 - 1])
    trained_on(Tastes(), "ncf", 64 * 40, {"patience": 2, "batch": 64}, curves)
    assert curves.points["train/validation_loss"] == [3.0, 2.0, 2.5, 2.6]
    assert "train/validation_ndcg" not in curves.points


def test_overfitting_is_seen_in_the_curves() -> None:
    """A big network, few users and no brake: the fitted loss falls, the held-out one rises again."""
    curves, settings = Curves(), {"epochs": 40, "patience": 40, "dropout": 0.0, "weight_decay": 0.0}
    trained_on(Tastes(), "ncf", 1280, {**settings, "embedding": 64, "hidden": 256, "learning_rate": 0.01}, curves)
    fitted, held = curves.points["train/loss"], curves.points["train/validation_loss"]
    assert len(fitted) == len(held) == 40
    assert fitted[-1] < 0.9 * fitted[10] and held[-1] > 1.2 * min(held)


def test_what_is_held_out_is_not_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labels in held-out steps change no weight of the first epoch."""
    learnt = []
    for flip in (False, True):
        agent = NCF(NCFConfig(epochs=1), Tastes().knows)
        log = logged(Tastes(32), rounds=40)

        def before_fit(self: NCF, fit: Fit, first: bool, flip: bool = flip) -> None:
            fit.log.labels[fit.held] = 1.0 - fit.log.labels[fit.held] if flip else fit.log.labels[fit.held]

        monkeypatch.setattr(NCF, "before_fit", before_fit)
        agent.fit(log, NoLog())
        learnt.append(weights_of(agent.network))
    assert all(np.array_equal(value, learnt[1][name]) for name, value in learnt[0].items())


def test_ratings_are_steps_of_one_item() -> None:
    log = ratings()
    assert log.step.tolist() == [0, 0, 1, 0, 1, 2, 1, 3, 2, 4]
    assert log.context(np.array([7]), history=4).history.items[0, :, 0].tolist() == [-1, 3, 1, 0]
    with pytest.raises(DataError, match="columns of one length"):
        Impressions.of_ratings(np.zeros(3, int), np.zeros(2, int))


def test_an_agent_fits_ratings_without_a_simulator() -> None:
    """Users rate items of their own half of the catalogue: the rest of that half comes first."""
    log, rated = ratings_of_halves(people=120, size=20, rated=7)
    spec = ratings_spec(np.ones((20, 1)), people=120, slate_size=3, history=0)
    agent = NCF(NCFConfig(negatives=4, learning_rate=0.02, batch=64), spec)
    agent.fit(log, NoLog())
    assert finds_their_half(agent, rated, 20) > 0.95
    with pytest.raises(AgentError, match="needs negatives"):
        NCF(NCFConfig(), spec).fit(log, NoLog())


def test_negatives_that_spare_what_is_held_out_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what is held out is never a negative, so that early stopping waits for who learnt which those are."""
    log, rated = ratings_of_halves(people=120, size=20, rated=7)
    pairs = Impressions.pairs
    monkeypatch.setattr(Impressions, "pairs", lambda self, among: pairs(self, np.ones_like(among)))
    agent = NCF(NCFConfig(negatives=4, learning_rate=0.02, batch=64), ratings_spec(np.ones((20, 1)), 120, 3, 0))
    agent.fit(log, NoLog())
    assert finds_their_half(agent, rated, 20) < 0.95


def test_offline_agents_learn_from_the_log_that_supervised_ones_get() -> None:
    """The same slates to the same users, in a world with more candidates than a log holds."""
    logs = []
    for label, settings in (("ncf", {}), ("dqn", {"offline": True}), ("slate_q", {"offline": True})):
        kind = agent_class(label)
        config = build(kind.Config, {"users": 8, "seed": 3, **settings}, label)
        scenario = InterestEvolution(num_candidates=100, slate_size=2)
        envs = RecVectorEnv(scenario, 8, Options(**kind.options(config)))
        envs.reset(seed=5)
        shown: list[np.ndarray] = []
        step = envs.step
        envs.step = lambda slates, step=step, shown=shown: (shown.append(np.array(slates)), step(slates))[1]  # type: ignore[method-assign]
        kind(config, WorldSpec.of(envs)).train(InteractionBudget(envs, 320), 320, NoLog())
        logs.append(np.stack(shown))
    assert all(np.array_equal(log, logs[0]) for log in logs)
