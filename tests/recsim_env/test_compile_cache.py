"""Machine code is loaded where the very same would be compiled again, and nowhere else."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.extending import intrinsic

from recsim_env import compile_cache
from recsim_env.bound import reader, typeof
from recsim_env.compile_cache import ENDING, FOLDER, OFF, kept
from recsim_env.fingerprint import Fingerprint, Unknown
from recsim_env.link import CHECKED_JIT, JIT

PLAY = """
import numpy, sys
import recsim_env
env = recsim_env.make_vector_env(sys.argv[1], 300)
env.reset(seed=7)
slates = numpy.argsort(numpy.random.default_rng(0).random((300, 10)), axis=1)[:, : env.unwrapped.scenario.slate_size]
for _ in range(20):
    rewards = env.step(slates)[1]
loop = env.unwrapped.simulator.loop
hits = [sum(entry.func._cache_hits.values()) for entry in (loop.step, loop.begin)]
print(*hits, repr(float(rewards.sum())))
"""
HELPED = """
import math
import {helper}
RATE = {rate}
class Kind(enum.IntEnum):
    SHORT = {member}
def scale(x, power={power}):
    return math.{function}(x) * RATE * power
def verb(x):
    if x > Kind.SHORT:
        return scale(x) + {helper}.SHIFT
    return {constant}
"""
CHANGES = {
    "a global constant": {"rate": "0.25"},
    "a member of an enumeration": {"member": "3"},
    "a default": {"power": "3.0"},
    "a function of a module": {"function": "log1p"},
    "a constant": {"constant": "-0.0"},
    "what a module holds": {"helper": "other_helper"},
}


def play(world: str, cache: str, **more: str) -> list[str]:
    environment = {**os.environ, FOLDER: cache, **more}
    done = subprocess.run([sys.executable, "-c", PLAY, world], capture_output=True, text=True, env=environment)
    assert not done.returncode, done.stderr
    return done.stdout.split()


def verb_of(monkeypatch: pytest.MonkeyPatch, **changed: str) -> Callable[..., Any]:
    """`HELPED`, with one part changed."""
    for name, shift in (("helper", 1.0), ("other_helper", 2.0)):
        module = types.ModuleType("helper")
        module.SHIFT = shift  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    parts = {"rate": "0.5", "member": "2", "power": "2.0", "function": "expm1", "constant": "0.0", "helper": "helper"}
    names: dict[str, Any] = {"enum": enum, "__name__": "an_author"}
    exec(HELPED.format(**{**parts, **changed}), names)
    verb: Callable[..., Any] = names["verb"]
    return verb


def digest(value: Any) -> str:
    return Fingerprint().add(value).hexdigest()


def test_a_second_process_loads_what_the_first_compiled(tmp_path: Path) -> None:
    first, second = (play("interest_evolution", str(tmp_path)) for _ in range(2))
    assert first[:2] == ["0", "0"]
    assert second[:2] == ["1", "1"]
    assert first[2] == second[2]


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_anywhere_below_a_verb_changes_its_digest(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verb, again = verb_of(monkeypatch), verb_of(monkeypatch)
    assert digest(verb) == digest(again) != digest(verb_of(monkeypatch, **CHANGES[what]))


def test_closures_and_compiled_helpers_are_part_of_the_digest() -> None:
    def made(constant: float, power: int) -> Callable[..., Any]:
        helper = JIT(lambda x: x**power)
        return lambda x: helper(x) * constant

    assert digest(made(1.0, 2)) == digest(made(1.0, 2))
    assert len({digest(made(1.0, 2)), digest(made(1.5, 2)), digest(made(1.0, 3))}) == 3


def test_arguments_kept_in_memory_are_read_by_their_type() -> None:
    kinds = [typeof((np.zeros(2, dtype), 1)) for dtype in (np.float64, np.int64, np.float64)]
    assert digest(reader(kinds[0])) == digest(reader(kinds[2])) != digest(reader(kinds[1]))


def test_what_has_no_digest_is_compiled_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))

    @intrinsic
    def same(context: Any, value: Any) -> Any:  # whose code could be anybody's
        return value(value), lambda context, builder, signature, arguments: arguments[0]

    def through(x: float) -> Any:
        return same(x)

    for strange in (through, lambda: types.SimpleNamespace(), np.zeros(1, object)):
        with pytest.raises(Unknown):
            digest(strange)
    assert kept(JIT)(through)(2.0) == 2.0
    assert not list(tmp_path.iterdir())


def test_the_same_text_in_another_module_is_another_entry(tmp_path: Path) -> None:
    """A world in a file of one's own, and the same text in a file elsewhere, which the second process does not have."""
    text = (Path(__file__).parents[2] / "examples" / "coffee_shop.py").read_text(encoding="utf-8")
    rewards = []
    for folder in ("here", "there"):
        file = tmp_path / folder / "shop.py"
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
        rewards += [play(f"{file}:CoffeeShop", str(tmp_path / "cache")) for _ in range(2)]
        file.unlink()
    assert [each[:2] for each in rewards] == 2 * [["0", "0"], ["1", "1"]]
    assert len({each[2] for each in rewards}) == 1


def loads(function: Callable[..., Any], jit: Callable[..., Any] = JIT, argument: Any = 2.0) -> int:
    """How often a fresh dispatcher of the function found its code in the cache."""
    dispatcher = kept(jit)(function)
    assert dispatcher(argument) == function(argument)
    return sum(dispatcher._cache_hits.values())


def double(x: Any) -> Any:
    return x * 2.0


def test_options_types_and_damage_make_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert [loads(double), loads(double)] == [0, 1]
    assert [loads(double, CHECKED_JIT), loads(double, CHECKED_JIT)] == [0, 1]
    assert [loads(double, argument=2), loads(double, argument=2)] == [0, 1]
    entries = sorted(tmp_path.glob("*" + ENDING))
    assert len(entries) == 3
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:-10])
    assert [loads(double), loads(double)] == [0, 1], "a damaged entry is compiled anew, and replaced"
    os.utime(entries[0], (0, 0))
    assert loads(lambda x: x + 1.0) == 0
    assert not entries[0].exists(), "what nobody has loaded for long is removed"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_others_can_write_to_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert [loads(double), loads(double)] == [0, 1]
    tmp_path.chmod(0o777)
    assert loads(double) == 0
    tmp_path.chmod(0o700)
    assert loads(double) == 1


@pytest.mark.parametrize("place", [OFF, "file", "/proc/nowhere"])
def test_without_a_folder_nothing_is_kept(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file") if place == "file" else place)
    assert [loads(double), loads(double)] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_a_home_folder_code_is_kept_where_it_is_told_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose user has neither a name nor HOME."""

    def no_home(kind: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(no_home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(FOLDER, raising=False)
    assert compile_cache.folder() is None
    monkeypatch.setenv(FOLDER, str(tmp_path / "kept"))
    assert compile_cache.folder() == tmp_path / "kept"
