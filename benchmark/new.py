"""The commands `new scenario` and `new agent`: files to start from, that work as they are."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

import recsim_env
from recsim_env.agent import registered_agents
from recsim_env.errors import InvalidParameter
from recsim_env.registration import registered

NEXT = {
    "scenario": (
        "recsim-env check {file}",
        "recsim-env preview {file} --agent random",
        "recsim-env bench {file}:{cls} --agents random,myopic_oracle,dqn --seeds 2 --steps 50000 --out runs/{name}",
    ),
    "agent": (
        "python -m pytest {test}",
        "recsim-env agents {file}:{cls}",
        "recsim-env bench --agents {file}:{cls},random --seeds 2 --steps 50000 --out runs/{name}",
    ),
}
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
TAKEN = {*recsim_env.__all__, "Agent", "AgentConfig", "Encoder", "Path", "None", "True", "False"}


def class_name(name: str) -> str:
    """CamelCase of a snake_case name."""
    return "".join(part.capitalize() for part in name.split("_"))


def check_name(name: str) -> None:
    """Refuse what cannot be a module of one's own.

    Raises:
        InvalidParameter: no snake_case, a keyword, taken, or a module that the file would hide.
    """
    if not SNAKE.fullmatch(name):
        raise InvalidParameter(f"NAME must be small letters, digits and single _, as in coffee_shop, not {name!r}")
    if keyword.iskeyword(name):
        raise InvalidParameter(f"NAME must not be a word of Python's own, {name!r}; choose another")
    if class_name(name) in TAKEN:
        raise InvalidParameter(f"NAME makes the class {class_name(name)}, which exists already; choose another")
    if name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        raise InvalidParameter(
            f"NAME must not be that of an installed module, which {name}.py would hide; choose another"
        )
    if name in {**registered_agents(), **registered()}:
        raise InvalidParameter(f"NAME must not be that of an installed agent or scenario, {name!r}; choose another")


def text_of(template: str, name: str, file: str) -> str:
    """A template with the names put in."""
    cls = class_name(name)
    text = (files("benchmark") / "templates" / f"{template}.py.txt").read_text(encoding="utf-8")
    return Template(text).substitute(cls=cls, config=f"{cls}Settings", file=file)


def write_new(kind: str, name: str, folder: Path) -> None:
    """Write NAME.py and test_NAME.py, and tell what to do next.

    Args:
        kind: "scenario" or "agent".

    Raises:
        InvalidParameter: the name cannot be used, or one of the files exists.
    """
    paths = {kind: folder / f"{name}.py", f"test_{kind}": folder / f"test_{name}.py"}
    for path in paths.values():
        if path.exists():
            raise InvalidParameter(f"{path} exists and is never overwritten; choose another name or --folder")
    check_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    for template, path in paths.items():
        with path.open("x", encoding="utf-8") as out:
            out.write(text_of(template, name, paths[kind].name))
    words = {"file": paths[kind], "test": paths[f"test_{kind}"], "cls": class_name(name), "name": name}
    print(f"wrote {words['file']} and {words['test']}; next:")
    for command in NEXT[kind]:
        print("  " + command.format(**words))
