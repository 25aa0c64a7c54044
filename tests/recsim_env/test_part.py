"""Parts of a loop: what they need of Python they find in the entry, and arguments kept in memory are what was given."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recsim_env
from recsim_env.bound import in_memory, reader, typeof
from recsim_env.compile_cache import FOLDER
from recsim_env.compiler import compiled_loop
from recsim_env.link import JIT
from recsim_env.part import entries, parts

SHOP = (Path(__file__).parents[2] / "examples" / "coffee_shop.py").read_text(encoding="utf-8")
LINE = "        user.weariness = self.recovery"


def play(world: Path, steps: int) -> None:
    env = recsim_env.make_env(f"{world}:CoffeeShop")
    env.reset(seed=0)
    for _ in range(steps):
        env.step(np.array([0]))


def shop_with(file: Path, line: str) -> Path:
    file.write_text(SHOP.replace(LINE, f"        {line}\n{LINE}"), encoding="utf-8")
    return file


def test_a_verb_prints_compiled_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    play(shop_with(tmp_path / "loud.py", 'print("weary", user.weariness)'), steps=5)
    heard = [line for line in capfd.readouterr().out.splitlines() if line.startswith("weary")]
    assert len(heard) >= 5
    assert all(0.0 <= float(line.split()[1]) < 20.0 for line in heard)


@pytest.mark.filterwarnings("ignore::numba.NumbaWarning")  # of Python in compiled code
def test_a_verb_goes_back_to_python(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    world = shop_with(tmp_path / "back.py", 'with numba.objmode(): print("back", flush=True)')
    world.write_text("import numba\n" + world.read_text(encoding="utf-8"), encoding="utf-8")
    play(world, steps=5)
    assert capfd.readouterr().out.count("back") >= 5


def test_a_verb_tells_of_an_error_with_its_values_also_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    shop = shop_with(tmp_path / "shop.py", 'if user.weariness > 4.0: raise ValueError("too weary", user.weariness)')
    kept = []
    for _ in range(2):
        compiled_loop.cache_clear()
        with pytest.raises(ValueError, match="too weary") as caught:
            play(shop, steps=1000)
        assert caught.value.args[0] == "too weary" and 4.0 < caught.value.args[1] < 10.0
        kept.append({entry.name: entry.stat().st_ino for entry in (tmp_path / "cache").iterdir()})
    assert kept[0] == kept[1] != {}  # loaded: an entry that is written again is another file


def test_entries_and_parts_compute_what_numba_computes() -> None:
    @parts(JIT)
    def part(x: float, k: int) -> float:
        return x**k + 1.0 / x

    def entry(xs: Any, k: int) -> float:
        total = 0.0
        for x in xs:
            total += part(x, k)
        return total

    xs = np.random.default_rng(0).uniform(0.5, 1.5, 1000)
    assert entries(JIT)(entry)(xs, 3) == JIT(entry)(xs, 3) == pytest.approx(float((xs**3 + 1.0 / xs).sum()))


Told = namedtuple("Told", "flag count table share last")


@pytest.mark.parametrize("last", [True, 2, 0.5])
def test_arguments_in_memory_are_what_was_given(last: Any) -> None:
    record = np.zeros(1, np.dtype((np.record, [("mood", np.float64), ("words", np.int64, (3,))])))[0]
    record.mood, record.words = 0.25, (1, 2, 3)
    table = np.arange(12.0).reshape(3, 4)
    given = (Told(True, -7, table, 0.125, last), record, np.arange(5), np.ones((2, 3), np.float32))
    read: Any = reader(typeof(given))

    @JIT
    def told(memory: Any) -> Any:
        me, at, whole, small = read(memory)
        numbers = me.flag, me.count, me.table[1, 2], me.share, me.last, at.mood, at.words[2]
        return numbers, whole.sum(), small.shape, small[1, 2]

    assert told(in_memory(given)) == ((True, -7, 6.0, 0.125, last, 0.25, 3), 10, (2, 3), 1.0)
