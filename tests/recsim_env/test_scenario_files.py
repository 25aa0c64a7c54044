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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "must hold 'scenario:' and 'parameters:', not list"),
        ("", "must hold 'scenario:' and 'parameters:', not NoneType"),
        ("parameters: {}\n", "scenario: Field required; keys: scenario, description, parameters"),
        ("scenario: x\nparametres: {}\n", "parametres: Extra inputs are not permitted; keys: scenario, description"),
        ("scenario: x\nparameters: 3\n", "parameters: Input should be a valid dictionary"),
        ("scenario: [x]\n", "scenario: Input should be a valid string"),
        ("scenario: {x\n", "is not YAML: while parsing"),
        ("scenario: !!python/object:os.system x\n", "is not YAML: could not determine a constructor"),
    ],
)
def test_a_yaml_file_that_is_no_scenario_is_refused_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    message = said(path)
    assert message.startswith(path)
    assert words in message
    assert "\n" not in message


def test_the_line_of_a_yaml_mistake_is_told(tmp_path: Path) -> None:
    assert "line 3" in said(written(tmp_path, "scenario: interest_evolution\nparameters:\n  a: [1\n"))


def test_a_missing_or_unreadable_yaml_file_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert said(str(missing)) == f"cannot read the scenario file {missing}: No such file or directory"
    missing.write_bytes(b"\xff\xfe\xff")
    assert said(str(missing)).startswith(f"cannot read the scenario file {missing}: ")


def test_a_yaml_file_built_on_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "round.yaml"
    written(tmp_path, f"scenario: {path}\n", path.name)
    assert said(str(path)) == f"{path} is built on itself"
    written(tmp_path, f"scenario: {path}\n", "other.yaml")
    written(tmp_path, f"scenario: {tmp_path / 'other.yaml'}\n", path.name)
    assert said(str(path)).endswith("is built on itself")


def test_an_unknown_scenario_in_a_yaml_file_is_refused(tmp_path: Path) -> None:
    assert "did you mean 'interest_evolution'?" in said(written(tmp_path, "scenario: interest_evoluton\n"))


def test_an_unknown_parameter_in_a_yaml_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    world = find_world(written(tmp_path, "scenario: interest_evolution\nparameters: {num_topic: 3}\n"))
    with pytest.raises(UnknownName, match=r"unknown parameter of mine 'num_topic'; did you mean 'num_topics'"):
        world.make()


def test_a_wrong_value_in_a_yaml_file_is_refused_with_the_field(tmp_path: Path) -> None:
    world = find_world(written(tmp_path, "scenario: interest_evolution\nparameters: {num_topics: many}\n"))
    message = "InterestEvolution.num_topics must be a whole number, not 'many'"
    with pytest.raises(InvalidParameter, match=message):
        world.make()


def test_a_python_file_that_is_missing_or_fails_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    assert said(f"{path}:Small") == f"there is no scenario file {path}"
    path.write_text("import nothing_of_this_name\n")
    message = f"{path} cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'"
    assert said(f"{path}:Small") == message
    path.write_text("def (\n")
    assert said(f"{path}:Small").startswith(f"{path} cannot be imported: SyntaxError: ")


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
    with pytest.raises(InvalidParameter, match=r"Options.observe must be 'partial' or 'full', not 'all'"):
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
