"""Python files as modules, which can import what lies beside them, as a script can.

A file's imports look in its own folder first. What is found there gets a name of its own, made of its path: `sys.path`
stays as it is, and two files of one name in two folders are two modules.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIX = "recsim_env_user_"  # of the names of modules that are files
OURS = frozenset({"recsim_env", "agents", "benchmark", "scenarios", "movieharbor"})


@dataclass
class Loaded:
    """A file that was imported.

    Attributes:
        module: what it became.
        digest: of the content that was run.
        imported: the files beside it that it imported.
    """

    module: ModuleType
    digest: str
    imported: set[Path] = field(default_factory=set)


LOADED: dict[Path, Loaded] = {}


def load(path: Path, name: str = "") -> ModuleType:
    """Import a file (an absolute path); the module of before where neither it nor what it imports was changed."""
    if path in LOADED and unchanged(path, set()):
        return LOADED[path].module
    content = path.read_bytes()
    module = new_module(name or own_name(path), path)
    before, LOADED[path] = LOADED.get(path), Loaded(module, digest_of(content))
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        exec(compile(content, str(path), "exec", dont_inherit=True), vars(module))
    except BaseException:
        restore(path, module.__name__, before)
        raise
    return module


def restore(path: Path, name: str, before: Loaded | None) -> None:
    """Forget a file that could not be imported."""
    LOADED.pop(path)
    sys.modules.pop(name, None)
    if before is not None:
        LOADED[path], sys.modules[name] = before, before.module


def unchanged(path: Path, seen: set[Path]) -> bool:
    """Whether a file, and all that it imported from beside it, is as it was when it was run."""
    if path in seen:
        return True
    seen.add(path)
    known = LOADED.get(path)
    if known is None or not path.is_file() or digest_of(path.read_bytes()) != known.digest:
        return False
    return all(unchanged(one, seen) for one in known.imported)


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def own_name(path: Path) -> str:
    """A module's name, which no other file has."""
    return f"{PREFIX}{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"


def new_module(name: str, path: Path) -> ModuleType:
    """An empty module whose imports look beside the file first."""
    folder = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folder)
    assert spec is not None  # a .py file always has one
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": Importer(path)}
    return module


@dataclass(frozen=True)
class Importer:
    """The `__import__` of one file, and of the files of a package."""

    path: Path

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """What an import statement gives: the first module of a dotted name, or the last where names are taken."""
        first, parts = self.first_of(name, str((globals or {}).get("__package__") or ""), level)
        if first is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        last = first
        for part in parts:
            last = self.inside(last, part)
        for taken in fromlist or ():
            if taken != "*" and not hasattr(last, taken) and file_of(last, taken):
                self.inside(last, taken)
        return last if fromlist else first

    def first_of(self, name: str, package: str, level: int) -> tuple[ModuleType | None, list[str]]:
        """The module in which the parts of a name are looked up, and these parts; None: Python finds it."""
        if level:
            parent = sys.modules[importlib.util.resolve_name("." * level, package)] if package else None
            return parent, name.split(".") if name else []
        top, *parts = name.split(".")
        return self.beside(top), parts

    def beside(self, name: str) -> ModuleType | None:
        """The file or folder of that name beside the file; None: there is none, or Python itself finds it."""
        path = file_in(self.root, name)
        if path is None:
            return plain_folder(self.root / name)
        if path.name == "__init__.py" and name in OURS:
            return None
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == str(path):
            return known
        return self.taken(path, own_name(path.parent if path.name == "__init__.py" else path))

    @property
    def root(self) -> Path:
        """The folder whose files the file may import: its own, or the one that holds its whole package."""
        folder = self.path.parent
        while (folder / "__init__.py").is_file() and folder / "__init__.py" in LOADED:
            folder = folder.parent
        return folder

    def inside(self, package: ModuleType, name: str) -> ModuleType:
        """A module of a package."""
        path = file_of(package, name)
        if path is None:
            raise ModuleNotFoundError(f"No module named {name!r} in {package.__file__}", name=name)
        module = self.taken(path, f"{package.__name__}.{name}")
        setattr(package, name, module)
        return module

    def taken(self, path: Path, name: str) -> ModuleType:
        """The module of a file that this one imports."""
        if self.path in LOADED:
            LOADED[self.path].imported.add(path)
        return load(path, name)


def file_of(package: ModuleType, name: str) -> Path | None:
    """Where a module of a package lies."""
    for folder in getattr(package, "__path__", ()):
        path = file_in(Path(folder), name)
        if path is not None:
            return path
    return None


def plain_folder(path: Path) -> ModuleType | None:
    """A folder without `__init__.py` as a package, where Python itself finds nothing of its name."""
    if not path.is_dir() or importlib.util.find_spec(path.name) is not None:
        return None
    module = ModuleType(own_name(path))
    module.__path__ = [str(path)]
    sys.modules[module.__name__] = module
    return module


def file_in(folder: Path, name: str) -> Path | None:
    """The package or file of a name in a folder, as Python looks for it."""
    for path in (folder / name / "__init__.py", folder / f"{name}.py"):
        if path.is_file():
            return path
    return None
