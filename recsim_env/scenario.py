"""The contract of a scenario: all that an author of user behaviour writes."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np

from recsim_env.class_files import address_of, class_in_file
from recsim_env.content import Content
from recsim_env.errors import InvalidParameter, ScenarioError
from recsim_env.fields import Field, record_dtype
from recsim_env.parameters import param, validate
from recsim_env.streams import STREAM

# Records and arrays of records as verbs see them: attributes are the declared fields.
User: TypeAlias = Any
Item: TypeAlias = Any
Items: TypeAlias = Any
Responses: TypeAlias = Any
Slate: TypeAlias = Any
Scratch: TypeAlias = Any
Rng: TypeAlias = Any

SAFETY_HORIZON = 5000  # far beyond any session that ends by itself
VERBS = ("arrive", "come_back", "offer", "respond", "evolve", "reward", "left", "appeal")


class Verbs(NamedTuple):
    """A scenario's verbs as plain functions of `self`, user, items, …"""

    arrive: Callable[..., None]
    come_back: Callable[..., None]
    offer: Callable[..., None]
    respond: Callable[..., None]
    evolve: Callable[..., None]
    reward: Callable[..., float]
    left: Callable[..., bool]
    appeal: Callable[..., float]


@dataclass(frozen=True)
class Scenario:
    """A world: what users, items and responses are made of, and how one user behaves.

    A subclass is a frozen dataclass whose fields are the world's parameters. Its verbs are written for one
    user, with scalars, `math` and loops; they are compiled into one loop over many users, and run unchanged
    as plain Python with `jit=False`. In a verb `self` holds the numbers among the parameters (float, int,
    bool, IntEnum) and the arrays of `tables()`; text is for `tables()` only.
    """

    num_candidates: int = param(10, "items on offer at a step", low=1, high=100_000)
    slate_size: int = param(1, "items shown at a step", low=1, high=1000)
    horizon: int = param(SAFETY_HORIZON, "steps after which we stop looking at a session (truncated)", low=1)
    noise: float = param(0.0, "noise of the observed numbers of users and items, as a share of their range", low=0)
    reward_delay: int = param(0, "steps by which rewards come late; the session's end pays all", low=0, high=1000)

    label: ClassVar[str] = "clicked"  # the response column that a myopic recommender predicts
    compiles: ClassVar[bool] = True  # False: users that only plain Python can play, such as a language model
    first_slate: ClassVar[str] = "none"  # "random": a session starts with a random, unrewarded slate

    def __post_init__(self) -> None:
        validate(self)
        if self.slate_size > self.num_candidates:
            raise InvalidParameter(
                f"{type(self).__name__}.slate_size must be at most num_candidates ({self.num_candidates}), "
                f"not {self.slate_size}"
            )

    def __copy__(self) -> Self:
        return self  # nothing of it changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Parameters, and the class by its name, or by its file; what follows from them is made again."""
        kind, parameters = type(self), {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        return made_again, (address_of(kind) or kind, parameters)

    if TYPE_CHECKING:  # the arrays of `tables()`, which verbs read as self.NAME

        def __getattr__(self, name: str) -> Any: ...

    # -- what things are made of ---------------------------------------------------------------------

    def user_fields(self) -> Sequence[Field]:
        raise ScenarioError(f"{type(self).__name__} does not declare user_fields(); return a list of Field")

    def item_fields(self) -> Sequence[Field]:
        raise ScenarioError(f"{type(self).__name__} does not declare item_fields(); return a list of Field")

    def response_fields(self) -> Sequence[Field]:
        return [Field("clicked", low=0, high=1, seen=True)]

    def tables(self) -> Mapping[str, np.ndarray]:
        """Arrays that verbs read: a catalogue, a fitted population. Verbs cannot write them."""
        return {}

    def catalogue(self) -> np.ndarray | None:
        """Features of every item, (num_items, F) float32, where candidates carry catalogue ids."""
        return None

    def item_names(self) -> Sequence[str]:
        """What people call the items, by catalogue id; empty where they have no names."""
        return ()

    def item_content(self) -> Content | None:
        """What the items are beyond numbers, for agents that read or look; None where they are only numbers."""
        return None

    def summary(self) -> str:
        """A line about what was fitted and how well, told before a benchmark; empty where nothing was."""
        return ""

    def measures(self, users: np.ndarray) -> Mapping[str, np.ndarray]:
        """What the world measures of users (n records, as they are at their session's end), by name: (n,) each."""
        return {}

    @property
    def offer_reads_user(self) -> bool:
        """Whether the candidates on offer depend on the user's state."""
        return False

    @property
    def offer_is_fixed(self) -> bool:
        """Whether everybody is offered the same at every step; `offer` is then called once, and draws nothing."""
        return False

    @property
    def keeps_user(self) -> bool:
        """Whether a user's record outlives a session; else it starts as zeros each time."""
        return self.overrides("come_back")

    @property
    def scratch_size(self) -> int:
        """How many float64 of scratch space `respond` gets."""
        return self.slate_size

    # -- verbs: how one user behaves -----------------------------------------------------------------

    def arrive(self, user: User, rng: Rng) -> None:
        """Draw someone new. The record starts as zeros."""
        raise ScenarioError("a scenario must define arrive(self, user, rng)")

    def come_back(self, user: User, rng: Rng) -> None:
        """The same person's next session. Where this is not defined, someone new arrives."""

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        """Fill `items`, the candidates on offer now."""
        raise ScenarioError("a scenario must define offer(self, user, items, rng)")

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        """Fill `responses`, one record a place of the slate; they start as zeros."""
        raise ScenarioError("a scenario must define respond(self, user, items, slate, responses, scratch, rng)")

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        """Change the user after the responses."""

    def reward(self, user: User, responses: Responses) -> float:
        """The step's reward, after `evolve`: by default the number of clicks."""
        clicks = 0.0
        for place in range(len(responses)):
            clicks += responses[place].clicked
        return clicks

    def left(self, user: User) -> bool:
        """Whether the session is over, after `evolve`."""
        return False

    def appeal(self, user: User, item: Item) -> float:
        """What showing the item would be worth now, up to order: for oracles (`observe="full"`)."""
        return 0.0

    # -- planning: numpy, for many users at once -------------------------------------------------------

    def plan(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, S) candidate positions: what to show for the most engagement in the end, by the best rule known.

        The world's own planner, which knows its parameters, from observations with `observe="full"` (n rows a key; see
        `recsim_env.records`). Optional: `overrides("plan")` says whether a world has one.
        """
        raise ScenarioError(f"{type(self).__name__} defines no plan(self, observation)")

    # -- what a recommender may be told of users ----------------------------------------------------------

    def choice_logits(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, C): the logit of a click on each candidate against a click on nothing, from what is seen of n users.

        The chance of a click in a slate is then exp(logit) / (1 + the sum of exp over the slate). Optional, for worlds
        whose users choose at most one item that way: `overrides("choice_logits")` says whether a world has them.
        """
        raise ScenarioError(f"{type(self).__name__} defines no choice_logits(self, observation)")

    # -- derived ---------------------------------------------------------------------------------------

    @cached_property
    def user_dtype(self) -> np.dtype[Any]:
        return record_dtype(self.user_fields(), f"{type(self).__name__}: user")

    @cached_property
    def item_dtype(self) -> np.dtype[Any]:
        return record_dtype(self.item_fields(), f"{type(self).__name__}: item")

    @cached_property
    def response_dtype(self) -> np.dtype[Any]:
        dtype = record_dtype(self.response_fields(), f"{type(self).__name__}: response")
        for name in ("clicked", self.label):
            if name not in (dtype.names or ()):
                raise ScenarioError(f"{type(self).__name__}: the responses need a field {name!r}")
        return dtype

    @cached_property
    def fixed_items(self) -> np.ndarray:
        """(1, C) item records: what everybody is offered at every step, where `offer_is_fixed`."""
        items = np.zeros((1, self.num_candidates), self.item_dtype)
        user, rng = np.zeros(1, self.user_dtype)[0], np.zeros(1, STREAM)[0]
        self.verbs().offer(self.compiled_self, user, items[0], rng)
        return items

    @cached_property
    def catalogue_features(self) -> np.ndarray | None:
        features = self.catalogue()
        return None if features is None else np.ascontiguousarray(features, np.float32)

    @cached_property
    def compiled_self(self) -> Any:
        """What verbs get as `self`: a namedtuple of the numbers and of the tables, which are read-only."""
        names = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values: dict[str, Any] = {
            k: int(v) if type(v) not in (float, bool) else v for k, v in names.items() if not isinstance(v, str)
        }
        for name, value in values.items():
            if type(value) is int and not -(2**63) <= value < 2**63:
                raise InvalidParameter(
                    f"{type(self).__name__}.{name} must fit 64 bits (-2^63 to 2^63 - 1), not {value}"
                )
        for name, table in self.tables().items():
            values[name] = np.ascontiguousarray(table)
            values[name].flags.writeable = False
        return tuple_class(type(self), tuple(values))(**values)  # type: ignore[arg-type]

    @classmethod
    def verbs(cls) -> Verbs:
        """The verbs' functions; a world without `come_back` gets `arrive` in its place."""
        verbs = {name: getattr(cls, name) for name in VERBS}
        if not cls.overrides("come_back"):
            verbs["come_back"] = verbs["arrive"]
        return Verbs(**verbs)

    @classmethod
    def overrides(cls, verb: str) -> bool:
        return getattr(cls, verb) is not getattr(Scenario, verb)


def made_again(kind: type[Scenario] | str, parameters: dict[str, Any]) -> Scenario:
    """A scenario that comes from a pickle.

    Raises:
        ScenarioError: its class is in a file (`kind` is `file.py:Class`) that is not there.
    """
    made = class_in_file(kind, Scenario, ScenarioError) if isinstance(kind, str) else kind
    return made(**parameters)


@cache
def tuple_class(owner: Any, names: tuple[str, ...]) -> Any:
    """One namedtuple class a scenario class, since numba compiles anew for each class."""
    return namedtuple(owner.__name__, names)
