"""Whether a compiled verb makes an array, list, dict or text, and the line that does."""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from recsim_env.source import node_of, nodes

IN_COMPILED = re.compile(r"NRT_MemInfo_(alloc|new|varsize)")  # arrays and texts, lists, growing lists and dicts
DISPLAYS = (ast.List, ast.ListComp, ast.Dict, ast.DictComp, ast.Set, ast.SetComp, ast.JoinedStr)
MAKERS = """
    array asarray zeros ones empty full arange linspace zeros_like ones_like empty_like full_like copy concatenate stack
    repeat tile sort argsort cumsum cumprod where unique outer
""".split()


def allocates(compiled: Any) -> bool:
    """Whether the machine code of a compiled function asks for memory."""
    return any(IN_COMPILED.search(code) for code in compiled.inspect_llvm().values())


def maker(function: Callable[..., Any], seen: frozenset[Any] = frozenset()) -> tuple[types.FunctionType, int] | None:
    """The function and the line that make something, in a verb's text or in that of what it calls."""
    if not isinstance(function, types.FunctionType) or function in seen:
        return None
    body = node_of(function)
    for node in nodes(body) if body else ():
        if makes(node, function):
            return function, node.lineno  # type: ignore[attr-defined]
    return next((found for called in called_by(function) if (found := maker(called, seen | {function}))), None)


def makes(node: ast.AST, function: types.FunctionType) -> bool:
    if isinstance(node, DISPLAYS):
        return True
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.attr in MAKERS and function.__globals__.get(called.value.id) is np
    return isinstance(called, ast.Name) and called.id in ("list", "dict", "set", "str", "sorted")


def called_by(function: types.FunctionType) -> Iterator[Any]:
    """The functions of a module that a function names."""
    names = (function.__globals__.get(name) for name in function.__code__.co_names)
    return (value for value in names if isinstance(value, types.FunctionType))
