"""Scenarios by name, preset, YAML file and `file.py:Class`, and what is said of those that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsim_env import Options, RecVectorEnv, find_world, make_env, make_vector_env
from recsim_env.errors import InvalidParameter, RecSimError, ScenarioError, UnknownName
from recsim_env.registration import gymnasium_id, load_class, preset_files, registered
from tests.worlds import TinyWorld, data_free_scenarios, data_free_worlds

PYTHON = """
from __future__ import annotations
from dataclasses import dataclass
from enum import IntEnum
from recsim_env import Field, Scenario, param

class Mood(IntEnum):
    {mood} = 0

@dataclass(frozen=True)
class Small(Scenario):
    pace: float = param(1.0, "how fast", low=0)
    mood: Mood = param(Mood.{mood}, "how it feels")

    def user_fields(self):
        return [Field("age", low=0, high=100, seen=True)]

    def item_fields(self):
        return [Field("score", low=0, high=1, seen=True)]

    def arrive(self, user, rng):
        user.age = 100.0 * rng.uniform()

    def offer(self, user, items, rng):
        for position in range(len(items)):
            items[position].score = rng.uniform()

    def respond(self, user, items, slate, responses, scratch, rng):
        responses[0].clicked = 1.0
"""


@pytest.fixture
def python_file(tmp_path: Path) -> Path:
    path = tmp_path / "worlds_of_mine.py"
    path.write_text(PYTHON.format(mood="CALM"))
    return path


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


# -- sources -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data_free_scenarios())
def test_a_registered_name_gives_its_class_with_default_parameters(name: str) -> None:
    world = find_world(name)
    assert world.name == name
    assert world.make() == load_class(name)()


@pytest.mark.parametrize("text", [w for w in data_free_worlds() if ":" in w])
def test_a_preset_is_the_same_world_with_other_parameters(text: str) -> None:
    world, plain = find_world(text), find_world(text.partition(":")[0])
    assert world.name == text
    assert world.scenario is plain.scenario
    assert world.make() != plain.make()
    for name, value in world.parameters.items():
        assert getattr(world.make(), name) == value


def test_every_preset_belongs_to_one_scenario() -> None:
    claimed = [path for name in registered() for path in preset_files(load_class(name)).values()]
    assert sorted(claimed) == sorted(claimed[0].parent.glob("*.yaml"))


def test_a_yaml_file_gives_parameters_to_a_scenario(tmp_path: Path) -> None:
    text = "scenario: interest_evolution\ndescription: small\nparameters:\n  num_topics: 4\n  choice: cascade\n"
    world = find_world(written(tmp_path, text))
    assert (world.name, world.parameters) == ("mine", {"num_topics": 4, "choice": "cascade"})
    made = world.make(slate_size=1)
    assert (made.num_topics, made.choice.name, made.slate_size) == (4, "CASCADE", 1)


def test_a_yaml_file_builds_on_a_preset_and_keywords_on_the_file(tmp_path: Path) -> None:
    preset = find_world("long_term_satisfaction:hard").parameters
    path = written(tmp_path, "scenario: long_term_satisfaction:hard\nparameters: {memory: 0.5}\n", "other.yml")
    assert find_world(path).parameters == {**preset, "memory": 0.5}
    assert find_world(path).make(memory=0.25).memory == 0.25


def test_a_class_in_a_python_file_is_a_world(python_file: Path) -> None:
    env = make_env(f"{python_file}:Small", pace="2.5", num_candidates=3, jit=False)
    env.reset(seed=0)
    assert (env.scenario.pace, env.action_space.n) == (2.5, 3)
    assert env.step(1)[1] == 1.0


def test_a_yaml_file_can_name_a_class_in_a_python_file(python_file: Path, tmp_path: Path) -> None:
    world = find_world(written(tmp_path, f"scenario: {python_file}:Small\nparameters: {{pace: 3}}\n"))
    assert world.make().pace == 3.0


def test_files_of_one_name_in_two_folders_do_not_meet(python_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / python_file.name
    other.parent.mkdir()
    other.write_text(PYTHON.format(mood="CROSS"))
    worlds = [find_world(f"{path}:Small") for path in (python_file, other)]
    assert [world.make().mood.name for world in worlds] == ["CALM", "CROSS"]
    assert [world.make(mood=name).mood.name for world, name in zip(worlds, ["calm", "cross"], strict=True)]


def test_a_scenario_itself_makes_environments_with_keywords_on_top() -> None:
    env = make_vector_env(TinyWorld(), 3, leave=0.5, jit=False)
    assert isinstance(env, RecVectorEnv)
    assert (env.num_envs, env.scenario, env.options) == (3, TinyWorld(leave=0.5), Options(jit=False))


def test_ids_name_the_class() -> None:
    assert gymnasium_id(registered()["interest_evolution"]) == "recsim_env/InterestEvolution-v0"


# -- errors --------------------------------------------------------------------------------------------


def said(text: str) -> str:
    with pytest.raises(RecSimError) as caught:
        find_world(text)
    return str(caught.value)


def test_an_unknown_scenario_is_refused_with_the_nearest() -> None:
    assert said("intrest_evolution") == "unknown scenario 'intrest_evolution'; did you mean 'interest_evolution'?"
    assert said("zzz") == f"unknown scenario 'zzz'; known: {', '.join(registered())}"


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    preset = "long_term_satisfaction:hrad"
    assert said(preset) == "unknown preset of long_term_satisfaction 'hrad'; did you mean 'hard'?"


GOOD = "scenario: interest_evolution\nparameters:\n  num_topics: 4\n"

STRUCTURE = [
    # the text, the line (0: of the whole file), and what is said of it
    ("", 0, "is empty; it must hold 'scenario:' and 'parameters:'"),
    ("# nothing\n", 0, "is empty"),
    ("- a\n- b\n", 0, "must hold 'scenario:' and 'parameters:', not list"),
    ("parameters: {}\n", 1, "scenario is missing; give a name, name:preset, file.yaml or file.py:Class"),
    ("scenario: x\nparametres: {}\n", 2, "unknown key 'parametres'; did you mean 'parameters'?"),
    ("scenario: x\n\nslate_size: 3\n", 3, "unknown key 'slate_size'; known: description, parameters, scenario"),
    ("scenario: x\nparameters: 3\n", 2, "parameters must hold one 'name: value' a line, indented, not 3"),
    ("scenario: x\nparameters:\n", 2, "parameters must hold one 'name: value' a line, indented, not None"),
    ("scenario: [x]\n", 1, "scenario must be text, not ['x']"),
    ("scenario: x\nparameters:\n  1: 2\n", 3, "the name of a parameter must be text, not 1"),
    ("scenario: x\ndescription: a\nscenario: y\n", 3, "'scenario' stands in line 1 too; keep one of them"),
    (GOOD + "  choice: cascade\n  num_topics: 5\n", 5, "'num_topics' stands in line 3 too; keep one of them"),
    ("scenario: x\nparameters:\n\tnum_topics: 3\n", 3, "indent with spaces, since YAML takes no tabs"),
    ("scenario: {x\n", 2, "is not YAML: while parsing a flow mapping"),
    ("scenario: x\n---\nscenario: y\n", 2, "is not YAML: expected a single document"),
    ("scenario: !!python/object:os.system x\n", 1, "is not YAML: could not determine a constructor"),
]

PARAMETERS = [
    # of interest_evolution, in line 3
    ("num_topic: 3", "unknown parameter of interest_evolution 'num_topic'; did you mean 'num_topics'?"),
    ("num_topics: many", "num_topics must be a whole number, not 'many'"),
    ("num_topics: 1.5", "num_topics must be a whole number, not 1.5"),
    ("num_topics: 1", "num_topics must lie in [2, 10000], not 1"),
    ("num_topics: true", "num_topics must be a whole number, not True"),
    ("num_topics: '4'", "num_topics must be a valid integer, not '4'; leave the quotes away"),
    ("num_topics: [4]", "num_topics must be a whole number, not [4]"),
    ("num_topics:", "num_topics must be a whole number, not None"),
    ("minutes: -1", "minutes must lie in [0, 1e+06], not -1.0"),
    ("minutes: .nan", "minutes must be a finite number, not nan"),
    ("choice: logit", "choice must be one of multinomial_logit, proportional, cascade, not 'logit'"),
    ("choice: 1", "choice must be 'multinomial_logit', 'proportional' or 'cascade', not 1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), STRUCTURE, ids=lambda value: str(value)[:30])
def test_a_yaml_file_that_is_no_scenario_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = written(tmp_path, text)
    message = said(path)
    assert message.startswith(f"{path}, line {line}" if line else f"{path} ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(("given", "words"), PARAMETERS, ids=[given for given, _ in PARAMETERS])
def test_a_wrong_parameter_is_refused_when_the_file_is_read(tmp_path: Path, given: str, words: str) -> None:
    path = written(tmp_path, f"scenario: interest_evolution\nparameters:\n  {given}\n")
    assert said(path) == f"{path}, line 3: {words}"


def test_numbers_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    given = {"minutes": "1e2", "drift": "3e-1", "refill": "1", "num_topics": "4.0", "no_click_logit": "-1.5E+0"}
    text = "scenario: interest_evolution\nparameters:\n" + "".join(f"  {k}: {v}\n" for k, v in given.items())
    made = find_world(written(tmp_path, text)).make()
    assert [getattr(made, name) for name in given] == [100.0, 0.3, 1.0, 4, -1.5]


def test_a_missing_or_unreadable_yaml_file_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert said(str(missing)) == f"cannot read the scenario file {missing}: No such file or directory"
    missing.write_bytes(b"\xff\xfe\xff")
    assert said(str(missing)).startswith(f"cannot read the scenario file {missing}: ")


def test_a_yaml_file_built_on_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "round.yaml"
    written(tmp_path, "scenario: round.yaml\n", path.name)
    assert said(str(path)) == f"{path}, line 1: {path} is built on itself"
    written(tmp_path, "# back\nscenario: round.yaml\n", "other.yaml")
    written(tmp_path, "scenario: other.yaml\n", path.name)
    assert said(str(path)) == f"{path}, line 1: {tmp_path / 'other.yaml'}, line 2: {path} is built on itself"


def test_an_unknown_scenario_in_a_yaml_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "\nscenario: interest_evoluton\n")
    message = "unknown scenario 'interest_evoluton'; did you mean 'interest_evolution'?"
    assert said(path) == f"{path}, line 2: {message}"


def test_a_path_in_a_yaml_file_starts_at_its_own_folder(
    python_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    written(tmp_path, f"scenario: {python_file.name}:Small\nparameters: {{pace: 3}}\n", "slow.yaml")
    path = written(tmp_path / "deeper", "scenario: ../slow.yaml\nparameters: {mood: calm}\n")
    assert find_world(path).make().pace == 3.0
    path = written(tmp_path / "deeper", "scenario: slow.yaml\n")
    assert said(path).endswith(f"cannot read the scenario file {tmp_path / 'deeper' / 'slow.yaml'}: "
                               "No such file or directory")  # fmt: skip


def test_a_file_is_imported_again_only_when_it_was_changed(python_file: Path) -> None:
    first = find_world(f"{python_file}:Small").scenario
    assert find_world(f"{python_file}:Small").scenario is first
    python_file.write_text(PYTHON.format(mood="CROSS"))
    again = find_world(f"{python_file}:Small")
    assert again.scenario is not first
    assert again.make().mood.name == "CROSS"


def test_a_file_with_one_scenario_needs_no_class(python_file: Path) -> None:
    world = find_world(str(python_file))
    assert (world.name, world.scenario) == ("Small", find_world(f"{python_file}:Small").scenario)
    python_file.write_text(python_file.read_text() + "class Large(Small): ...\n")
    assert said(str(python_file)) == (
        f"{python_file} defines 2 scenario classes (Small, Large); say which: {python_file}:CLASS"
    )


def test_a_python_file_that_is_missing_or_fails_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    assert said(f"{path}:Small") == f"there is no scenario file {path}"
    path.write_text("import nothing_of_this_name\n")
    message = f"{path}, line 1 cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'"
    assert said(f"{path}:Small") == message
    path.write_text("def (\n")
    assert said(f"{path}:Small").startswith(f"{path} cannot be imported: SyntaxError: ")
    assert "line 1" in said(f"{path}:Small")


def test_a_python_file_without_the_class_is_refused_with_the_nearest(python_file: Path) -> None:
    assert said(f"{python_file}:Smal") == f"unknown scenario class in {python_file} 'Smal'; did you mean 'Small'?"
    assert said(f"{python_file}:Field").endswith("; known: Small")  # a class, but no scenario
    assert said(f"{python_file}:Scenario").endswith("; known: Small")  # the contract itself is no world


# -- keywords ------------------------------------------------------------------------------------------


def test_an_unknown_keyword_is_refused_with_the_nearest_parameter_or_option() -> None:
    with pytest.raises(UnknownName, match=r"unknown parameter of interest_evolution 'slat_size'; .* 'slate_size'"):
        make_env("interest_evolution", slat_size=2)
    with pytest.raises(UnknownName, match=r"did you mean 'history'"):
        make_vector_env("interest_evolution", 2, histroy=2)


def test_an_unknown_keyword_beside_a_scenario_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown parameter of TinyWorld 'leaf'; did you mean 'leave'"):
        make_env(TinyWorld(), leaf=0.1)
    with pytest.raises(UnknownName, match=r"did you mean 'totals'"):
        make_vector_env(TinyWorld(), 2, total=True)


def test_a_preset_beside_a_scenario_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="preset 'hard' belongs to a scenario's name"):
        make_env(TinyWorld(), preset="hard")


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"Options.observe must be one of partial, full, responses, not 'all'"):
        make_env("interest_evolution", observe="all")
    with pytest.raises(InvalidParameter, match=r"Options.purpose must be one of train, validate, test, not 'play'"):
        make_env("interest_evolution", purpose="play")
    with pytest.raises(InvalidParameter, match="must be 1 or more, not 0"):
        make_vector_env("interest_evolution", 0)


def test_a_slate_longer_than_the_offer_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"slate_size must be at most num_candidates \(2\), not 3"):
        make_env("interest_evolution", num_candidates=2, slate_size=3)


def test_an_unregistered_class_cannot_pass_for_a_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, attr = "odd", "Odd"

        def load(self) -> object:
            return dict

    monkeypatch.setattr("recsim_env.registration.registered", lambda: {"odd": Point()})
    with pytest.raises(ScenarioError, match="the entry point 'odd' gives <class 'dict'>, which is not a Scenario"):
        load_class("odd")
