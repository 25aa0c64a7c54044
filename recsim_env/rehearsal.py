"""Each verb once on scratch records, before the compiler sees it, and its failures in an author's words."""

from __future__ import annotations

import re
import traceback
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from recsim_env.errors import RecSimError, ScenarioError
from recsim_env.fields import Field
from recsim_env.fingerprint import digest_here
from recsim_env.scenario import VERBS, Scenario, Verbs
from recsim_env.source import place
from recsim_env.streams import STREAM

Check = Callable[[Any], str]
FRAMES = re.compile(r'(?:at |File ")([^"\n]+?\.py)(?: \(|", line )(\d+)')
ADVICE: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((ZeroDivisionError, FloatingPointError), "; guard the division: compiled code stops at it too"),
    (IndexError, "; an index counts from 0 to len() - 1, and compiled code would write into another user"),
    (UnboundLocalError, "; give it a value on every path"),
    (OverflowError, "; keep the number within what a float holds"),
)

_rehearsed: set[tuple[Any, ...]] = set()


# -- what a verb may leave and return ------------------------------------------------------------------


def wrong_in(field: Field, values: np.ndarray) -> np.ndarray:
    """Where a field holds what it never may: a category out of range, NaN, or infinity where it is seen."""
    if field.categories:
        return (values < 0) | (values >= field.categories)
    wrong: np.ndarray = ~np.isfinite(values) if field.seen else np.isnan(values)
    return wrong


def flaw(fields: list[Field], record: Any) -> str:
    """What no record may hold, and what to do; "" where there is none."""
    for field in fields:
        values = np.asarray(record[field.name])
        wrong = wrong_in(field, values)
        if wrong.any():
            rule = "a finite number is needed, since it is seen" if field.seen else "a number is needed"
            if field.categories:
                rule = f"its categories are 0 to {field.categories - 1}; draw within them, or declare more"
            return f"{field.name} = {values[wrong].flat[0]}; {rule}"
    return ""


def bad_number(value: Any) -> str:
    if isinstance(value, int | float | np.number) and np.isfinite(value):
        return ""
    if isinstance(value, int | float | np.number):
        return f"it must return a finite number, not {float(value)}; guard what makes it, such as inf - inf or 0 * inf"
    return f"it must return a finite number, not {value!r}; return one on every path"


def bad_truth(value: Any) -> str:
    return "" if isinstance(value, bool | np.bool_ | int) else f"it must return True or False, not {value!r}"


RETURNS: dict[str, Check] = {"reward": bad_number, "appeal": bad_number, "left": bad_truth}
FILLED = {
    "arrive": {"user": 1},
    "come_back": {"user": 1},
    "offer": {"user": 1, "item": 2},
    "respond": {"user": 1, "item": 2, "response": 4},
    "evolve": {"user": 1, "item": 2, "response": 4},
}  # the records that a verb may change, and which of its arguments they are


def fields_with_rules(scenario: Scenario) -> dict[str, list[Field]]:
    """The fields whose values can break a rule: all but plain whole numbers."""
    groups = {"user": scenario.user_fields(), "item": scenario.item_fields(), "response": scenario.response_fields()}
    return {kind: [f for f in fields if f.categories or not f.whole] for kind, fields in groups.items()}


def guarded(scenario: Scenario, verbs: Verbs | None = None) -> Verbs:
    """The scenario's verbs (plain, or `verbs` made from them), checked at each call.

    A call raises `ScenarioError` with class, verb, line and cause where the verb raises, cannot be compiled,
    leaves NaN or a category out of range in a record, or returns something else than it should.
    """
    owner, fields = type(scenario), fields_with_rules(scenario)
    plain, run = owner.verbs(), verbs or owner.verbs()
    names = ["arrive" if p is plain.arrive else verb for verb, p in zip(VERBS, plain, strict=True)]
    return Verbs(*(guard(owner, verb, p, f, fields) for verb, p, f in zip(names, plain, run, strict=True)))


def guard(
    owner: type[Scenario], verb: str, plain: Any, function: Callable[..., Any], fields: Mapping[str, list[Field]]
) -> Callable[..., Any]:
    filled = [(fields[kind], kind, at) for kind, at in FILLED.get(verb, {}).items()]
    returns = RETURNS.get(verb, lambda value: "")

    def call(*arguments: Any) -> Any:
        try:
            with np.errstate(divide="raise", invalid="raise", over="ignore"):
                value = function(*arguments)
        except Exception as error:
            raise explained(owner, verb, plain, error) from error
        problem = returns(value)
        for rules, kind, at in filled:
            wrong = flaw(rules, arguments[at])
            problem = problem or (wrong and f"it leaves {kind}.{wrong}")
        if problem:
            raise ScenarioError(f"{place(owner, verb, plain, plain.__code__.co_firstlineno)}: {problem}")
        return value

    return call


# -- errors, explained ---------------------------------------------------------------------------------


def one_line(text: Any) -> str:
    return " ".join(str(text).split())


def explained(owner: type[Scenario], verb: str, plain: types.FunctionType, error: Exception) -> RecSimError:
    """An exception from a verb as a `ScenarioError` of one line."""
    if isinstance(error, RecSimError):
        return error
    if isinstance(error, NumbaError):
        return compile_error(owner, error, verb)
    file, line = plain.__code__.co_filename, plain.__code__.co_firstlineno
    for frame in traceback.extract_tb(error.__traceback__):
        line = (frame.lineno or line) if frame.filename == file else line
    advice = next((text for kinds, text in ADVICE if isinstance(error, kinds)), "")
    if "read-only" in str(error):
        advice = "; verbs only read the arrays of tables()"
    return ScenarioError(f"{place(owner, verb, plain, line)}: {type(error).__name__}: {one_line(error)}{advice}")


def cause_of(error: NumbaError) -> str:
    """The line of a compiler's report that says what is wrong."""
    text = re.sub(r"\x1b\[[0-9;]*m|,? defined at \S+ \(\d+\)", "", str(error))
    specific = re.search(r"raised a specific error:\s*\w+: (.+)", text)
    if specific:
        return one_line(specific[1])
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Failed in ")]
    calls = next((line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")), "")
    return one_line(f"{lines[0].split(' Raised from ')[0]} {calls}") if lines else type(error).__name__


def verb_at(owner: type[Scenario], file: str, line: int) -> str | None:
    """The verb whose text holds a line of a file."""
    for verb, function in zip(VERBS, owner.verbs(), strict=True):
        code = function.__code__
        last = max(number for *_, number in code.co_lines() if number)
        if code.co_filename == file and code.co_firstlineno <= line <= last:
            return verb
    return None


def compile_error(owner: type[Scenario], error: NumbaError, verb: str | None = None) -> ScenarioError:
    """What the compiler refused, as one line: the verb where it is known, file, line and cause."""
    frames = [(file, int(line)) for file, line in FRAMES.findall(str(error)) if "/numba/" not in file]
    verb = verb or next((v for v in (verb_at(owner, *frame) for frame in frames) if v), None)
    where = f"{owner.__name__}.{verb}" if verb else owner.__name__
    lines = f" ({frames[0][0].rpartition('/')[2]}, line {frames[0][1]})" if frames else ""
    return ScenarioError(f"{where}{lines} cannot be compiled: {cause_of(error)}")


# -- the rehearsal -------------------------------------------------------------------------------------


def rehearse(scenario: Scenario, verbs: Verbs) -> None:
    """A session of one step and the next session's start, each verb called on scratch records."""
    me, count, places = scenario.compiled_self, scenario.num_candidates, scenario.slate_size
    user, rng = np.zeros(1, scenario.user_dtype)[0], np.zeros(1, STREAM)[0]
    items, responses = np.zeros(count, scenario.item_dtype), np.zeros(places, scenario.response_dtype)
    rng.rekey(0, 0)
    verbs.arrive(me, user, rng)
    verbs.offer(me, user, items, rng)
    allowed = items["allowed"] if "allowed" in (scenario.item_dtype.names or ()) else np.ones(count)
    slate = np.argsort(allowed == 0, kind="stable")[:places]
    verbs.appeal(me, user, items[0])
    verbs.respond(me, user, items, slate, responses, np.zeros(scenario.scratch_size), rng)
    verbs.evolve(me, user, items, slate, responses, rng)
    verbs.reward(me, user, responses)
    verbs.left(me, user)
    if not scenario.keeps_user:
        user = np.zeros(1, scenario.user_dtype)[0]
    verbs.come_back(me, user, rng)
    verbs.offer(me, user, items, rng)


def rehearse_once(scenario: Scenario, digest: str = "") -> None:
    """`rehearse` as plain Python, once for a class, the types of its records, and what its verbs are made from.

    The last is `digest`; without one, it is taken here.

    Raises:
        ScenarioError: a verb's mistake, with class, verb, line and cause.
    """
    dtypes = (scenario.user_dtype, scenario.item_dtype, scenario.response_dtype)
    key = (type(scenario), *dtypes, digest or digest_here(*type(scenario).verbs()))
    if key not in _rehearsed:
        rehearse(scenario, guarded(scenario))
        _rehearsed.add(key)
