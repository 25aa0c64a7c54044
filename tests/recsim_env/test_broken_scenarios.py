"""Twelve scenario files with one mistake each: what `recsim-env check FILE` says of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import cli

FOLDER = Path(__file__).parent / "broken_scenarios"
MISTAKES = {
    # the file: where (with LINE, which ends in "# here"), the cause, and what to do
    "misspelt_field.py": ("MisspeltField.evolve", "user.patiense is not a field", "did you mean 'patience'?"),
    "misspelt_parameter.py": ("MisspeltParameter.arrive", "self.pateince is not a number", "did you mean 'patience'?"),
    "python_random.py": ("PythonRandom.evolve", "random.random draws from hidden state", "draw from rng"),
    "array_in_a_verb.py": ("ArrayInAVerb.evolve", "it allocates memory: an array", "use scalars, fields and scratch"),
    "past_the_slate.py": ("PastTheSlate.evolve", "index 2 is out of bounds", "counts from 0 to len() - 1"),
    "helper_method.py": ("HelperMethod.evolve", "self.effort is a method", "write a module-level function"),
    "list_of_the_module.py": ("ListOfTheModule.evolve", "SEEN is a list", "keep what a user remembers in a field"),
    "reward_not_a_number.py": ("RewardNotANumber.reward", "finite number, not nan", "guard what makes it"),
    "never_leaves.py": ("NeverLeaves.left", "nobody leaves within 5000 steps", "set a `horizon`"),
    "kind_never_clicks.py": ("KindNeverClicks.respond", "users of member 0 never click", "give them a chance"),
    "category_out_of_range.py": (
        "CategoryOutOfRange.offer",
        "item.genre = 4",
        "its categories are 0 to 3; draw within",
    ),
    "wrong_parameter.yaml": ("wrong_parameter.yaml", "parameter of interest_evolution 'num_topic'", "'num_topics'?"),
}


def line_of(path: Path) -> int:
    marked = [n for n, text in enumerate(path.read_text().splitlines(), 1) if text.endswith("# here")]
    assert len(marked) == 1
    return marked[0]


def check(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says on its error output; it must stop with 2."""
    monkeypatch.setattr(sys, "argv", ["recsim-env", "check", str(path)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    return capsys.readouterr().err


def assert_says(said: str, path: Path) -> None:
    where, cause, remedy = MISTAKES[path.name]
    line = f"line {line_of(path)}"
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    for words in (where, path.name, line, cause, remedy):
        assert words in said


def test_there_are_twelve_and_each_is_listed() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".yaml")}
    assert files == set(MISTAKES)
    assert len(files) == 12


@pytest.mark.parametrize("name", [name for name in MISTAKES if name != "misspelt_field.py"])
def test_a_mistake_is_told_with_place_cause_and_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_says(check(FOLDER / name, monkeypatch, capsys), FOLDER / name)


def test_the_command_itself_says_it_and_stops_with_2() -> None:
    path = FOLDER / "misspelt_field.py"
    command = [str(Path(sys.executable).with_name("recsim-env")), "check", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert_says(done.stderr, path)
    assert done.stdout.splitlines()[0].startswith("fields are declared")
    assert done.stdout.splitlines()[-1].split() == ["source", "is", "sound", "no"]
