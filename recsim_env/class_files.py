"""Classes from Python files, by `file.py:Class`; a file is read again only when it, or one that it imports, changed."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from recsim_env.errors import RecSimError, unknown
from recsim_env.file_modules import PREFIX, load, own_name
from recsim_env.trust import check_import

T = TypeVar("T")


def names_a_file(text: str) -> bool:
    """Whether `text` is `file.py` or `file.py:Class`, not a registered name."""
    return text.endswith(".py") or ".py:" in text


def class_in_file(text: str, base: type[T], error: type[RecSimError]) -> type[T]:
    """The subclass of `base` that `file.py:Class` names, or `file.py` where it defines one only.

    The same unchanged file gives the same class, so that what was compiled for it stays.

    Raises:
        error: there is no such file, it cannot be imported, or it leaves open which class is meant.
        UnknownName: the file has no such class. UntrustedCode: see `recsim_env.trust`.
    """
    path_text, colon, name = text.rpartition(":") if ".py:" in text else (text, "", "")
    path = Path(path_text)
    kind = base.__name__.lower()
    if not path.is_file():
        raise error(f"there is no {kind} file {path}")
    if own_name(path.resolve()) not in sys.modules:
        check_import(text)
    module = module_of(path, error)
    found = {k: v for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, base) and v is not base}
    if colon:
        if name not in found:
            raise unknown(f"{kind} class in {path}", name, found)
        return found[name]
    own = [name for name, value in found.items() if value.__module__ == module.__name__]
    if len(own) != 1:
        raise error(f"{path} defines {len(own)} {kind} classes ({', '.join(own) or 'none'}); say which: {path}:CLASS")
    return found[own[0]]


def address_of(kind: type) -> str | None:
    """`file.py:Class` of a class that comes from a file; None of one that is imported by its module's name."""
    if not kind.__module__.startswith(PREFIX):
        return None
    return f"{sys.modules[kind.__module__].__file__}:{kind.__qualname__}"


def module_of(path: Path, error: type[RecSimError]) -> ModuleType:
    """The file as a module; what it raises becomes an `error` with the line."""
    try:
        return load(path.resolve())
    except Exception as cause:
        lines = [f.lineno for f in traceback.extract_tb(cause.__traceback__) if f.filename == str(path.resolve())]
        where = f", line {lines[-1]}" if lines else ""
        raise error(f"{path}{where} cannot be imported: {type(cause).__name__}: {cause}") from cause
