"""A digest of everything that compiled code is made from: bytecode, constants, and what its names stand for.

Two processes that compile the same function get the same digest; a changed helper, constant, closure or default
changes it, wherever it is written.
"""

from __future__ import annotations

import enum
import hashlib
import types
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic
from numba.core.types import Type

# Numba's own versions of their functions are compiled in; the versions of numba and numpy belong to the key.
KNOWN_MODULES = {"math", "cmath", "numpy", "numba"}
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...))


ALIVE: dict[int, Any] = {}  # what goes by its identity, so that none is given twice


class Unknown(Exception):
    """Something is compiled in that has no digest; such code is not kept."""


def is_known(module: str | None) -> bool:
    return (module or "").partition(".")[0] in KNOWN_MODULES


@cache
def package_sources() -> bytes:
    """Of this package's files: methods of streams and intrinsics are compiled in without being named."""
    digest = hashlib.sha256()
    files = sorted(Path(__file__).parent.glob("*.py"))
    if not files:
        raise Unknown("the package's sources")
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.digest()


def shape_of(kind: Type) -> list[Any]:
    """A type as text; the names of a tuple's fields are part of it."""
    inner = [shape_of(part) for part in getattr(kind, "types", ())]
    return [str(kind), getattr(kind, "fields", ()) if inner else (), inner]


class Fingerprint:
    """A digest that values and functions are added to.

    Args:
        here: whether it is for this process alone: what no other process could tell goes by its identity.
    """

    def __init__(self, *, here: bool = False) -> None:
        self.here = here
        self.digest = hashlib.sha256(package_sources())
        self.seen: dict[int, int] = {}  # by identity, the place among those seen
        self.kept: list[Any] = []  # alive, so that no identity is given twice

    def token(self, *parts: Any) -> None:
        for part in parts:
            text = part if isinstance(part, bytes) else repr(part).encode()
            self.digest.update(len(text).to_bytes(8, "little") + text)

    def add(self, value: Any) -> Fingerprint:
        """Add a constant, a function with all that it names, or a class.

        Raises:
            Unknown: there is no telling whether another process would compile the same from it.
        """
        if isinstance(value, PLAIN):
            self.token(type(value).__name__, value)
        elif isinstance(value, np.ndarray | np.generic):
            self.add_array(np.asarray(value))
        elif isinstance(value, tuple) or (isinstance(value, list) and not self.here):
            self.token(type(value).__name__, len(value))
            for part in value:
                self.add(part)
        elif isinstance(value, frozenset):
            self.token("frozenset", sorted(map(repr, value)))
        elif id(value) in self.seen:
            self.token("seen", self.seen[id(value)])
        else:
            self.seen[id(value)] = len(self.seen)
            self.kept.append(value)
            self.add_once(value)
        return self

    def add_once(self, value: Any) -> None:
        try:
            self.add_object(value)
        except Unknown:
            if not self.here:
                raise
            ALIVE[id(value)] = value
            self.token("here", id(value))

    def add_object(self, value: Any) -> None:
        if isinstance(value, enum.Enum):
            self.token(type(value).__qualname__, value.name)
            self.add(value.value)
        elif isinstance(value, Dispatcher | _Intrinsic | Type):
            self.add_compiled(value)
        elif isinstance(value, types.FunctionType):
            self.add_function(value)
        elif isinstance(value, type):
            self.add_class(value)
        elif isinstance(value, types.BuiltinFunctionType | np.ufunc):
            self.token(getattr(value, "__module__", ""), value.__name__)
        elif isinstance(value, types.ModuleType):
            self.token("module", value.__name__)
        else:
            raise Unknown(f"{type(value).__qualname__} {value!r}")

    def add_compiled(self, value: Any) -> None:
        """What numba made of a function, an intrinsic of this package, or a type."""
        if isinstance(value, Dispatcher):
            self.token("compiled", sorted(value.targetoptions.items(), key=str))
            self.add(value.py_func)
        elif isinstance(value, Type):
            self.token("type", shape_of(value))
        elif value._defn.__module__.startswith("recsim_env."):
            self.token("intrinsic", value._name)  # its text is among the package's sources
            for cell in value._defn.__closure__ or ():
                self.add(cell.cell_contents)
        else:
            raise Unknown(f"the intrinsic {value._name}")

    def add_array(self, value: np.ndarray) -> None:
        if value.dtype.hasobject:
            raise Unknown("an array of objects")
        self.token("array", value.dtype.descr, value.shape, np.ascontiguousarray(value).tobytes())

    def add_class(self, kind: type) -> None:
        """A type that is called to convert, or whose members are constants."""
        self.token("class", kind.__module__, kind.__qualname__)
        if issubclass(kind, enum.Enum):
            for member in kind:
                self.add(member)
        elif hasattr(kind, "_fields"):
            self.add(kind._fields)
        elif not is_known(kind.__module__) and kind.__module__ != "builtins":
            raise Unknown(f"the class {kind.__qualname__}")

    def add_function(self, function: types.FunctionType) -> None:
        # numpy's functions in Python stand for numba's own.
        if is_known(function.__module__):
            self.token(function.__module__, function.__qualname__)
            return
        self.token(function.__module__)  # which a compiled function asks for when it is loaded
        self.add(function.__defaults__).add(tuple((function.__kwdefaults__ or {}).items()))
        self.add_code(function.__code__, function.__globals__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self.token(name)
            self.add(cell.cell_contents)

    def add_code(self, code: types.CodeType, names: dict[str, Any]) -> None:
        """Bytecode, constants, and what the names mean where it was written."""
        self.token(code.co_name, code.co_code, code.co_varnames, code.co_names, code.co_argcount, code.co_flags)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self.add_code(constant, names)
            else:
                self.add(constant)
        for name in code.co_names:
            if name in names:
                self.token(name)
                self.add(names[name])
                self.add_parts(names[name], code.co_names)

    def add_parts(self, module: Any, names: tuple[str, ...]) -> None:
        """What a module that numba does not know gives under these names, and modules in it."""
        if isinstance(module, types.ModuleType) and not is_known(module.__name__):
            for name in names:
                if hasattr(module, name):
                    self.token(module.__name__, name)
                    self.add(getattr(module, name))
                    self.add_parts(getattr(module, name), tuple(other for other in names if other != name))

    def hexdigest(self) -> str:
        return self.digest.hexdigest()


def digest_here(*functions: Any) -> str:
    """What functions are made from now, in this process: another one after a helper or a constant is defined anew."""
    fingerprint = Fingerprint(here=True)
    for function in functions:
        fingerprint.add(function)
    return fingerprint.hexdigest()
