"""Many compiled users over many random slates: what shows rarely, late, or in few people only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from recsim_env.errors import RewardError
from recsim_env.fields import Field
from recsim_env.layout import build_layout
from recsim_env.rehearsal import fields_with_rules, guarded, one_line, wrong_in
from recsim_env.scenario import SAFETY_HORIZON, Scenario
from recsim_env.simulator import Options, Simulator

if TYPE_CHECKING:
    from recsim_env.trial import Trial

PEOPLE, STEPS = 2000, 300
ROOM = 600_000  # numbers in one step's observations, so that a wide world gets fewer people
FEW = 64  # people who are looked at to the end where nobody has left
MANY_VALUES = 50  # a whole number with more values than this is no kind of person
RARELY = 10  # steps from one look at the candidates to the next, of which there are many
SEED = 1000  # apart from the seeds of the other checks


class Tally:
    """Steps and clicks of people, as they are shown slates.

    Attributes:
        left: how many sessions ended because the user left.
        sessions: (steps, clicks) of each that ended, where nobody comes back.
        places: (n, 2) the same of who is there now.
        kinds: (values, 2) the same by value, for each user field that stays within a session.
    """

    def __init__(self, scenario: Scenario, people: int) -> None:
        names = [f.name for f in scenario.user_fields() if f.whole and not f.shape and f.name != "id"]
        self.keeps_user, self.left = scenario.keeps_user, 0
        self.sessions: list[np.ndarray] = []
        self.places = np.zeros((people, 2))
        self.kinds = {name: np.zeros((MANY_VALUES, 2)) for name in names}

    def add(self, before: np.ndarray, after: np.ndarray, results: np.ndarray, answers: np.ndarray) -> None:
        """One step: users before and after it (n,), its results (n,) and responses (n, S)."""
        clicks = answers["clicked"].sum(axis=1).astype(float)
        ended = results["terminated"] | results["truncated"]
        self.left += int(results["terminated"].sum())
        self.places += np.stack([np.ones(len(clicks)), clicks], axis=1)
        if not self.keeps_user:
            self.sessions.append(self.places[ended])
            self.places[ended] = 0
        for name in list(self.kinds):
            values = before[name]
            if values.min() < 0 or values.max() >= MANY_VALUES or (values != after[name])[~ended].any():
                del self.kinds[name]
                continue
            self.kinds[name] += np.stack([np.bincount(values, w, MANY_VALUES) for w in (None, clicks)], axis=1)

    @property
    def people(self) -> np.ndarray:
        """(people, 2) steps and clicks."""
        everybody = np.concatenate([*self.sessions, self.places])
        return everybody[everybody[:, 0] > 0]


def people_of(scenario: Scenario) -> int:
    """Fewer where an observation is wide, so that a step takes as long."""
    return max(FEW, min(PEOPLE, ROOM // build_layout(scenario, observe="partial", history=0, totals=False).width))


def slates_of(scenario: Scenario, people: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """(n, S) at each step; the loop repairs what repeats, which is cheaper than to draw without."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rng.integers(scenario.num_candidates, size=(people, scenario.slate_size))


class Crowd:
    """People who are shown random slates by the compiled loop; what breaks a rule is refused as it happens."""

    def __init__(self, trial: Trial, people: int) -> None:
        self.trial, self.scenario, self.people = trial, trial.scenario, people
        self.rules = fields_with_rules(trial.scenario)
        self.simulator = Simulator(trial.scenario, people, Options(threads=1), autoreset=True)
        self.tally = Tally(trial.scenario, people)
        self.clipped: dict[str, list[int]] = {}  # by seen field: values outside its range, and all
        self.shown: list[np.ndarray] = []

    def play(self, steps: int, until_left: bool = False) -> Crowd:
        """So many steps, or until somebody left."""
        self.simulator.reset(self.trial.seed + SEED)
        for slates in slates_of(self.scenario, self.people, steps, self.trial.seed):
            self.shown.append(slates)
            self.step(slates)
            if until_left and self.tally.left:
                break
        return self

    def step(self, slates: np.ndarray) -> None:
        state = self.simulator.state
        before, lived = state.users.copy(), state.lives[["session", "step"]].copy()
        try:
            _, results, answers = self.simulator.step(slates)
        except RewardError as error:
            self.explain([error.place], one_line(error))
        except Exception as error:  # what a verb raises in compiled code, which does not know its name
            still = np.flatnonzero(state.lives[["session", "step"]] == lived)
            ended = self.simulator.ended  # of this step where nobody stands still: the next session failed to begin
            still = still if len(still) else ended[state.lives["session"][ended] == lived["session"][ended]]
            who = int(still[0]) if len(still) else self.people - 1
            self.explain([who, max(0, who - 1)], f"{type(error).__name__}: {one_line(error)}")
        self.check_numbers(results["reward"], answers, results["terminated"] | results["truncated"])
        self.tally.add(before, state.users, results, answers)

    def check_numbers(self, rewards: np.ndarray, answers: np.ndarray, ended: np.ndarray) -> None:
        """Refuse a reward, a field or a category that cannot be, with the verb that made it."""
        bad = np.flatnonzero(~np.isfinite(rewards))
        if len(bad):
            self.explain([int(bad[0])], f"reward returns {rewards[bad[0]]}")
        state, everybody = self.simulator.state, np.arange(self.people)
        looked = [("user", state.users, everybody), ("response", answers, everybody)]
        looked.append(("user", self.simulator.ended_users, self.simulator.ended))
        if len(self.shown) % RARELY == 1:
            looked.append(("item", state.items, everybody))
        for kind, records, people in looked:
            for of in self.rules[kind]:
                self.check_field(kind, of, records, people)

    def check_field(self, kind: str, of: Field, records: np.ndarray, people: np.ndarray) -> None:
        values = records[of.name]
        wrong = wrong_in(of, values)
        if wrong.any():
            self.explain([int(people[np.argwhere(wrong)[0][0]])], f"{kind}.{of.name} = {values[wrong].flat[0]}")
        if of.seen and not of.categories:
            count = self.clipped.setdefault(f"{kind}.{of.name}", [0, 0])
            count[0] += int(((values < of.low) | (values > of.high)).sum())
            count[1] += values.size

    def explain(self, people: list[int], what: str) -> NoReturn:
        """Live the lives again as plain Python, which knows verb and line; refuse in any case."""
        slates = np.stack(self.shown)
        for who in dict.fromkeys(people):
            self.trial.play(guarded(self.scenario), slates=slates[:, who : who + 1], seed=SEED, first_user=who)
        self.trial.refuse(f"{what} in compiled code, at step {len(self.shown)} of user {people[0]}")


# -- checks --------------------------------------------------------------------------------------------

CLICKS = 20.0  # expected of a person; e^-20 is the chance of none
CLICKS_OF_A_KIND = 200.0  # expected of a kind; one that clicks a fortieth as often as others still gets 5
CLICKLESS = 0.05  # share of people


def many_users_keep_the_rules(trial: Trial) -> None:
    """Rewards and what is seen are finite, and categories in range, for many users too."""
    for name, (wrong, total) in trial.crowd.clipped.items():
        if wrong:
            share = f"{100 * wrong / total:.2g} % of cases"
            trial.notes.append(f"{name} lay outside its range in {share}; a recommender sees it clipped")


def somebody_leaves(trial: Trial) -> None:
    """Where `left` is defined, somebody leaves before the safety horizon."""
    scenario = trial.scenario
    if scenario.horizon < SAFETY_HORIZON:
        return
    if not scenario.overrides("left"):
        trial.notes.append(f"sessions end at the horizon of {scenario.horizon} steps only; define left, or a horizon")
    elif not trial.crowd.tally.left and not Crowd(trial, FEW).play(SAFETY_HORIZON, until_left=True).tally.left:
        seen = f"nobody leaves within {SAFETY_HORIZON} steps of random slates ({FEW} users)"
        trial.refuse_verb("left", f"{seen}; let what it reads come to the limit that it asks for, or set a `horizon`")


def each_kind_clicks(trial: Trial) -> None:
    """No kind of user goes without a click while others click; as far as the plain run shows it."""
    tally, arrays = Tally(trial.scenario, trial.users), trial.plain.arrays
    for step, (results, answers) in enumerate(zip(arrays["results"], arrays["answers"], strict=True)):
        tally.add(arrays["users"][step], arrays["users"][step + 1], results, answers)
    refuse_clickless(trial, tally)


def everybody_can_click(trial: Trial) -> None:
    """The same for many users; and no notable share of people goes without a click."""
    refuse_clickless(trial, trial.crowd.tally)


def refuse_clickless(trial: Trial, tally: Tally) -> None:
    shown, clicked = tally.people.T
    rate = clicked.sum() / shown.sum()
    rest = f"while users on average click {rate:.2g} times a step; give them a chance above 0"
    for name, table in tally.kinds.items():
        for value in np.flatnonzero((table[:, 0] * rate > CLICKS_OF_A_KIND) & (table[:, 1] == 0)):
            never = f"users of {name} {value} never click, in {table[value, 0]:,.0f} steps of random slates"
            trial.refuse_verb("respond", f"{never}, {rest}")
    without = (clicked == 0) & (shown * rate > CLICKS)
    if without.mean() > CLICKLESS:
        never = f"{100 * without.mean():.0f} % of users never click, in {shown[without].mean():,.0f} steps each"
        trial.refuse_verb("respond", f"{never}, {rest}")
