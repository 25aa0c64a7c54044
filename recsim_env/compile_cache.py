"""Machine code that outlives the process, so that a world is compiled once and not in each process.

Numba's own cache knows a function by its file and line. Here the key is a digest of everything that is compiled
in (`recsim_env.fingerprint`), of the arguments' types, of the compiler's settings and versions, and of the
processor; so a changed verb, or a helper of it in another file, is another entry.
The folder is `$RECSIM_ENV_CACHE`, else `recsim-env` in `$XDG_CACHE_HOME` or `~/.cache`; `RECSIM_ENV_CACHE=off`
keeps nothing. It holds code that will be run: only a folder of one's own that nobody else can write to is read.
"""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import caching, compiler, serialize, sigutils, types
from numba.core.typing.templates import signature as new_signature

from recsim_env.errors import RunFolderError
from recsim_env.files import whole
from recsim_env.fingerprint import Fingerprint, Unknown, shape_of
from recsim_env.link import JIT

FOLDER, OFF = "RECSIM_ENV_CACHE", "off"
UNUSED = 60 * 86_400.0  # seconds after which an entry that nobody loads is removed
ENDING = ".machine-code"
CHECK = 32  # bytes of the digest that an entry begins with

# Numba says nothing of their types.
arguments_of: Any = sigutils.normalize_signature
dumps: Any = serialize.dumps
rebuild: Any = compiler.CompileResult._rebuild
typed: Any = new_signature


def folder() -> Path | None:
    """Where machine code is kept, made where it is missing; None where it is not to be, or cannot safely."""
    named = os.environ.get(FOLDER, "")
    if named.lower() == OFF:
        return None
    try:
        place = Path(named) if named else users_caches() / "recsim-env"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place if is_ours(place) else None
    except (OSError, RuntimeError):  # RuntimeError: this user has no home folder
        return None


def users_caches() -> Path:
    """The folder of this user's caches. Raises `RuntimeError` where the user has no home folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def is_ours(place: Path) -> bool:
    """Whether nobody else can put code there."""
    if os.name != "posix":
        return True
    status = place.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


@cache
def surroundings() -> list[Any]:
    """What else decides which machine code is right."""
    versions = numba.__version__, llvmlite.__version__, np.__version__, platform.python_version()
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_"))
    return [versions, settings]


class SourceCache(caching.NullCache):
    """What numba asks before it compiles a function, and tells after."""

    def __init__(self, dispatcher: Any) -> None:
        self.function, self.options = dispatcher.py_func, sorted(dispatcher.targetoptions.items(), key=str)

    def path(self, arguments: tuple[types.Type, ...], context: Any) -> Path | None:
        """The entry's file; None where none is to be kept."""
        place = folder()
        if place is None:
            return None
        fingerprint = Fingerprint()
        fingerprint.token(surroundings(), context.codegen().magic_tuple(), self.options, list(map(shape_of, arguments)))
        try:
            return place / (fingerprint.add(self.function).hexdigest() + ENDING)
        except Unknown:
            return None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function; None where it is not kept, or its entry is damaged."""
        arguments, _ = arguments_of(sig)
        path = self.path(arguments, target_context)
        entry = read(path) if path is not None else None
        if path is None or entry is None:
            return None
        target_context.refresh()
        if hashlib.sha256(entry[CHECK:]).digest() != entry[:CHECK]:
            return None
        try:
            found = rebuilt(pickle.loads(entry[CHECK:]), arguments, target_context)
            os.utime(path)
        except (ImportError, OSError):  # the module of a verb is not there by its name; or the entry is gone
            return None
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        arguments, _ = arguments_of(sig)
        path = self.path(arguments, data.target_context)
        if path is None or data.library.has_dynamic_globals:
            return
        payload = dumps(reduced(data))
        try:
            with whole(path) as aside:
                aside.write_bytes(hashlib.sha256(payload).digest() + payload)
        except (OSError, RunFolderError):  # a full disk costs the next process its time, and nobody a result
            return
        prune(path.parent)


def read(path: Path) -> bytes | None:
    """An entry; None where there is none, or it may not be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def reduced(compiled: Any) -> tuple[Any, ...]:
    """A compile result without its arguments' types, which are classes of the process."""
    library, descriptor, environment, signature, *rest = compiled._reduce()
    descriptor = copy.copy(descriptor)
    descriptor.argtypes = ()
    return library, descriptor, environment, signature.return_type, *rest


def rebuilt(parts: tuple[Any, ...], arguments: tuple[types.Type, ...], context: Any) -> Any:
    library, descriptor, environment, returns, *rest = parts
    descriptor.argtypes = arguments
    return rebuild(context, library, descriptor, environment, typed(returns, *arguments), *rest)


def prune(place: Path) -> None:
    """Remove what nobody has loaded for long."""
    for entry in place.glob("*" + ENDING):
        try:
            if time.time() - entry.stat().st_mtime > UNUSED:
                entry.unlink()
        except OSError:  # another process was first
            continue


def kept(jit: Callable[..., Any]) -> Callable[..., Any]:
    """The compiler `jit`, of functions whose machine code is kept for other processes."""

    def compile_or_load(function: Callable[..., Any]) -> Any:
        dispatcher: Any = jit(function)
        if dispatcher is not function:  # as it is with NUMBA_DISABLE_JIT
            dispatcher._cache = SourceCache(dispatcher)
        return dispatcher

    return compile_or_load


compiled = kept(JIT)  # for a function of its own that Python calls
