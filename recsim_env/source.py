"""Checks of a scenario's text, without running it: names, fields, parameters, and what cannot be compiled.

The compiler's own words for these mistakes name neither the verb nor the line, and some compile silently:
a draw from numpy's global generator, for one.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import inspect
import linecache
import random
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from recsim_env.errors import ScenarioError
from recsim_env.fingerprint import digest_here
from recsim_env.scenario import VERBS, Scenario
from recsim_env.streams import Stream

DRAWS = tuple(name for name in vars(Stream) if not name.startswith("_") and name != "rekey")
NEVER_COMPILED = (__import__, eval, exec, open, input)
GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)
LUCK_OF_OTHERS = ("random", "secrets", "uuid", "time", "datetime")  # modules that are other at each run
SHARED = (list, dict, set, bytearray)
ELEMENTS = {"items": "item", "responses": "response"}
REQUIRED = ("arrive", "offer", "respond")
MISSING: Any = object()


class Names(NamedTuple):
    """What verbs may read, by what they read it from. Hashable."""

    self: tuple[str, ...]
    texts: tuple[str, ...]
    user: tuple[str, ...]
    item: tuple[str, ...]
    response: tuple[str, ...]

    @classmethod
    def of(cls, scenario: Scenario) -> Names:
        texts = tuple(name for name, value in vars(scenario).items() if isinstance(value, str))
        records = (scenario.user_dtype, scenario.item_dtype, scenario.response_dtype)
        return cls(scenario.compiled_self._fields, texts, *(dtype.names or () for dtype in records))


def check_source(scenario: Scenario, digest: str = "") -> None:
    """Read the scenario's verbs, and the plain functions of modules that they call.

    They are read once for a `digest` of what the verbs are made from; without one, it is taken here. Verbs whose text
    is not at hand (typed into an interpreter) are left to the rehearsal.

    Raises:
        ScenarioError: the first mistake, with class, verb, line, rule, and the nearest name.
    """
    owner = type(scenario)
    check_class(owner, Names.of(scenario), digest or digest_here(*owner.verbs()))  # type: ignore[arg-type]  # a class is hashable


@cache
def check_class(owner: type[Scenario], names: Names, digest: str) -> None:
    """`check_source`, once for a class as it is now and what its verbs may read."""
    check_verb_names(owner)
    for verb in VERBS:
        declared = list(inspect.signature(getattr(Scenario, verb)).parameters)
        function = plain_verb(owner, verb)
        if function.__module__ != Scenario.__module__:
            check_arguments(owner, verb, function, declared)
            arguments = function.__code__.co_varnames[: len(declared)]
            Text(owner, verb, names, function, dict(zip(arguments, declared, strict=True)), set()).check()


def check_verb_names(owner: type[Scenario]) -> None:
    """Refuse a method whose name is nearly a verb's: nobody would call it."""
    for name, value in vars(owner).items():
        near = difflib.get_close_matches(name, VERBS, n=1, cutoff=0.85)
        if isinstance(value, types.FunctionType) and near and not hasattr(Scenario, name):
            where = f"{owner.__name__} ({Path(value.__code__.co_filename).name}, line {value.__code__.co_firstlineno})"
            raise ScenarioError(f"{where}: {name} is not a verb, so nobody calls it; did you mean {near[0]!r}?")


def plain_verb(owner: type[Scenario], verb: str) -> types.FunctionType:
    """The verb as it was written; raises `ScenarioError` where it is missing or not a plain method."""
    if verb in REQUIRED and not owner.overrides(verb):
        raise ScenarioError(f"{owner.__name__} must define {verb}{arguments_of(getattr(Scenario, verb))}")
    static = inspect.getattr_static(owner, verb)
    function = getattr(static, "py_func", static)  # compiled by the author's own hand
    if not isinstance(function, types.FunctionType):
        raise ScenarioError(f"{owner.__name__}.{verb} must be a plain method, def {verb}(self, …), not {static!r}")
    return function


def check_arguments(owner: type[Scenario], verb: str, function: types.FunctionType, declared: list[str]) -> None:
    """Refuse a verb with another number of arguments than the contract's; names are free."""
    code = function.__code__
    variable = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    if code.co_argcount != len(declared) or code.co_kwonlyargcount or variable:
        where = place(owner, verb, function, code.co_firstlineno)
        raise ScenarioError(f"{where}: it must take ({', '.join(declared)}), not {arguments_of(function)}")


def arguments_of(function: Callable[..., Any]) -> str:
    """As written, without annotations."""
    arguments = inspect.signature(function).parameters.values()
    return f"({', '.join(str(a.replace(annotation=a.empty)) for a in arguments)})"


def place(owner: type[Scenario], verb: str, function: types.FunctionType, line: int) -> str:
    """Where in an author's files: class, verb, the function that the verb calls, file and line."""
    inner = "" if function.__name__ == verb else f", in {function.__name__}()"
    return f"{owner.__name__}.{verb}{inner} ({Path(function.__code__.co_filename).name}, line {line})"


def hint(name: str, known: Iterable[str]) -> str:
    """The nearest known name, or all of them where they are few."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names) or 'none'}" if len(names) <= 40 else "nothing of a similar name is known"


@lru_cache(maxsize=64)
def functions_in(text: str) -> Mapping[tuple[str, int], ast.FunctionDef]:
    """The functions of a module's text, by name and first line (of their decorators, as code objects count)."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            found[node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])] = node
    return found


def node_of(function: types.FunctionType) -> ast.FunctionDef | None:
    """The function's text as a tree, or None where it is not at hand."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    try:
        return functions_in(text).get((code.co_name, code.co_firstlineno))
    except SyntaxError:  # the file was changed since it was imported
        return None


def nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A tree's nodes in the order of the text, without annotations, which nothing evaluates."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from nodes(child)


def locals_of(code: types.CodeType) -> set[str]:
    """Every name bound in a function or in the functions and comprehensions within it."""
    inner = [locals_of(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return {*code.co_varnames, *code.co_cellvars, *code.co_freevars}.union(*inner)


def bindings_of(body: ast.FunctionDef) -> dict[str, list[ast.expr | None]]:
    """What each name is bound to in a function; None stands for what is not followed."""
    found: dict[str, list[ast.expr | None]] = {}
    followed: set[int] = set()

    def bind(target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            found.setdefault(target.id, []).append(value)
            followed.add(id(target))

    for node in nodes(body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                bind(target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            bind(node.target, node.value)
        elif isinstance(node, ast.For):
            bind(node.target, ast.Subscript(node.iter, ast.Constant(0), ast.Load()))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in followed:
            bind(node, None)
    return found


def is_random(value: Any) -> bool:
    """Whether it is, or draws from, a generator that is not the scenario's."""
    if isinstance(getattr(value, "__self__", value), GENERATORS):
        return True
    module = str(getattr(value, "__module__", "")).split(".")
    return module[0] in LUCK_OF_OTHERS or module[:2] == ["numpy", "random"]


class Text:
    """One function's text: a verb's, or that of a function which a verb calls.

    Args:
        kinds: what its arguments are, by their name here: "self", "user", "items", "rng", …
        seen: the functions read so far for this verb, with the kinds that they got.
    """

    def __init__(
        self, owner: type[Scenario], verb: str, names: Names, function: types.FunctionType,
        kinds: Mapping[str, str], seen: set[Any],
    ) -> None:  # fmt: skip
        self.owner, self.verb, self.names, self.function, self.seen = owner, verb, names, function, seen
        self.kinds: dict[str, str] = dict(kinds)
        self.node = node_of(function)
        self.locals = locals_of(function.__code__)
        self.bindings = bindings_of(self.node) if self.node else {}
        self.resolved: dict[str, str] = {}

    def check(self) -> None:
        """Raise `ScenarioError` at the first mistake in the order of the text."""
        for statement in self.node.body if self.node else ():
            for node in nodes(statement):
                for rule in self.RULES.get(type(node), ()):
                    rule(self, node)

    def refuse(self, node: ast.expr | ast.stmt, message: str) -> None:
        raise ScenarioError(f"{place(self.owner, self.verb, self.function, node.lineno)}: {message}")

    # -- what an expression is -------------------------------------------------------------------------

    def kind(self, node: ast.expr | None) -> str:
        """What the contract calls the expression's value ("user", "item", "rng", …), or "" where unknown."""
        if isinstance(node, ast.Name):
            return self.kind_of_name(node.id)
        if isinstance(node, ast.Subscript):
            kind = self.kind(node.value)
            return kind if isinstance(node.slice, ast.Slice) else ELEMENTS.get(kind, "")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "at":
            return "rng" if self.kind(node.func.value) == "rng" else ""
        return ""

    def kind_of_name(self, name: str) -> str:
        """The kind that all bindings of a name agree on."""
        if name not in self.resolved:
            self.resolved[name] = ""  # a name bound to itself is not followed
            found = {self.kind(value) for value in self.bindings.get(name, [])}
            found |= {self.kinds[name]} if name in self.kinds else set()
            self.resolved[name] = found.pop() if len(found) == 1 else ""
        return self.resolved[name]

    def value(self, node: ast.expr) -> Any:
        """The object that a global name, or an attribute of a module, stands for; or MISSING."""
        if isinstance(node, ast.Name) and node.id not in self.locals:
            return self.function.__globals__.get(node.id, getattr(builtins, node.id, MISSING))
        if isinstance(node, ast.Attribute):
            module = self.value(node.value)
            return getattr(module, node.attr, MISSING) if isinstance(module, types.ModuleType) else MISSING
        return MISSING

    # -- rules -----------------------------------------------------------------------------------------

    def check_name(self, node: ast.Name) -> None:
        if node.id in self.locals or isinstance(node.ctx, ast.Store):
            return
        value = self.value(node)
        if value is MISSING:
            known = {*self.locals, *self.function.__globals__, *dir(builtins)}
            instead = "draw from rng, as in rng.uniform()" if node.id == "random" else hint(node.id, known)
            self.refuse(node, f"the name {node.id!r} is not defined; {instead}")
        if value is super:
            self.refuse(node, "super() cannot be compiled; write a module-level function and call it in both classes")
        if any(value is never for never in NEVER_COMPILED):
            self.refuse(
                node, f"{node.id}() cannot be compiled; a verb computes with what it is given, and draws from rng"
            )
        self.check_random(node, value)
        if isinstance(value, SHARED):
            what = f"{node.id} is a {type(value).__name__} of the module, which all users share; "
            self.refuse(node, what + "keep what a user remembers in a field, and constants in a tuple or tables()")

    def check_global(self, node: ast.Global | ast.Nonlocal) -> None:
        what = f"{', '.join(node.names)} belongs to all users; keep what a user remembers in a field"
        self.refuse(node, what)

    def check_random(self, node: ast.expr, value: Any) -> None:
        if is_random(value):
            self.refuse(
                node,
                f"{ast.unparse(node)} draws from hidden state, other at each run; draw from rng, as in rng.uniform()",
            )

    def check_attribute(self, node: ast.Attribute) -> None:
        kind = self.kind(node.value)
        if kind in CHECKS:
            CHECKS[kind](self, node, kind)
        owner = self.value(node.value)
        if isinstance(owner, types.ModuleType):
            self.check_module(node, owner)
        elif isinstance(owner, type) and issubclass(owner, Scenario):
            self.refuse(node, f"{ast.unparse(node)} cannot be compiled; write a module-level function and call that")

    def check_module(self, node: ast.Attribute, module: types.ModuleType) -> None:
        value, text = self.value(node), ast.unparse(node)
        if value is MISSING:
            self.refuse(node, f"{text} does not exist; {hint(node.attr, dir(module))}")
        self.check_random(node, value)
        if isinstance(value, types.FunctionType) and not module.__name__.startswith("numpy"):
            self.refuse(node, f"{text}() is reached through its module; from {module.__name__} import {node.attr}")

    def check_self(self, node: ast.Attribute, kind: str) -> None:
        name, text = node.attr, ast.unparse(node)
        if isinstance(node.ctx, ast.Store):
            self.refuse(node, f"{text} is the same for all users and cannot be set; keep it in a field of the user")
        if name in self.names.self:
            return
        if name in self.names.texts:
            self.refuse(node, f"{text} is text, which is for tables() only; make it an IntEnum, given by name too")
        found = inspect.getattr_static(self.owner, name, MISSING)
        if isinstance(found, types.FunctionType | classmethod | staticmethod | property):
            self.refuse(node, f"{text} is a method; write a module-level function and call {name}(self, …)")
        more = "" if found is MISSING else "; it is a class attribute: is the class decorated @dataclass(frozen=True)?"
        known = hint(name, self.names.self)
        self.refuse(node, f"{text} is not a number among the parameters, nor a table; {known}{more}")

    def check_field(self, node: ast.Attribute, kind: str) -> None:
        self.check_field_name(node, node.attr, kind)

    def check_field_name(self, node: ast.expr, name: str, kind: str) -> None:
        known = getattr(self.names, kind)
        if name not in known:
            self.refuse(node, f"{ast.unparse(node)} is not a field of the {kind}; {hint(name, known)}")

    def check_records(self, node: ast.Attribute, kind: str) -> None:
        if not hasattr(np.ndarray, node.attr):
            one = f"{ast.unparse(node.value)}[…].{node.attr}"
            self.check_field_name(node, node.attr, ELEMENTS[kind])
            self.refuse(node, f"{ast.unparse(node)}: {kind} are many records; read one after another, {one}")

    def check_draw(self, node: ast.Attribute, kind: str) -> None:
        if node.attr not in DRAWS:
            self.refuse(node, f"{ast.unparse(node)}: rng has no {node.attr!r}; {hint(node.attr, DRAWS)}")

    def check_subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Store) and isinstance(self.value(node.value), np.ndarray):
            what = f"{ast.unparse(node.value)} is an array of the module, which all users share; "
            self.refuse(node, what + "keep what a user remembers in a field")
        kind, key = self.kind(node.value), getattr(node.slice, "value", None)
        if kind in ("user", "item", "response") and isinstance(key, str):
            self.check_field_name(node, key, kind)

    def follow(self, node: ast.Call) -> None:
        """Read the plain function of a module that is called, knowing what its arguments are."""
        function = self.value(node.func)
        if not isinstance(function, types.FunctionType) or function.__module__.startswith("recsim_env."):
            return
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        given = [*zip(names, node.args, strict=False), *((k.arg, k.value) for k in node.keywords if k.arg)]
        kinds = {name: self.kind(value) for name, value in given if self.kind(value)}
        key = (function, frozenset(kinds.items()))
        if key not in self.seen:
            self.seen.add(key)
            Text(self.owner, self.verb, self.names, function, kinds, self.seen).check()

    RULES: ClassVar[dict[type[ast.AST], tuple[Callable[[Text, Any], None], ...]]] = {
        ast.Name: (check_name,),
        ast.Attribute: (check_attribute,),
        ast.Subscript: (check_subscript,),
        ast.Call: (follow,),
        ast.Global: (check_global,),
        ast.Nonlocal: (check_global,),
    }


CHECKS: dict[str, Callable[[Text, ast.Attribute, str], None]] = {
    "self": Text.check_self,
    "user": Text.check_field,
    "item": Text.check_field,
    "response": Text.check_field,
    "items": Text.check_records,
    "responses": Text.check_records,
    "rng": Text.check_draw,
}
