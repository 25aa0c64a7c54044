"""The schema of scenario files says what `find_world` does, of right files and of wrong ones."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from recsim_env import find_world, param
from recsim_env.errors import RecSimError
from recsim_env.registration import load_class, preset_files, registered
from recsim_env.scenario_files import check_parameters, read_scenario_file
from recsim_env.schema import file_schema, parameters_schema
from tests.worlds import TinyWorld

EVOLUTION = "scenario: interest_evolution\nparameters: "
RIGHT = [
    "scenario: interest_evolution\n",
    "scenario: long_term_satisfaction:hard\ndescription: as it is\nparameters: {memory: 0.5}\n",
    EVOLUTION + "{num_topics: 4, choice: cascade, drift: 0.5}\n",
    EVOLUTION + "{num_topics: 4.0, drift: 1, minutes: 1e2, slate_size: 1}\n",
    EVOLUTION + "{num_topics: 2, no_click_logit: -3}\n",
    "scenario: movielens\nparameters: {data: somewhere, carry: true, people: known}\n",
    "scenario: built_on.yaml\n",
]
WRONG = [
    "",
    "- scenario\n",
    "parameters: {}\n",
    "scenario: 3\n",
    "scenario: interest_evoluton\n",
    "scenario: long_term_satisfaction:hrad\n",
    "scenario: interest_evolution\nparametres: {}\n",
    "scenario: interest_evolution\nparameters:\n",
    "scenario: interest_evolution\ndescription: 3\n",
    EVOLUTION + "[num_topics]\n",
    EVOLUTION + "{memory: 0.5}\n",
    EVOLUTION + "{num_topics: 1}\n",
    EVOLUTION + "{num_topics: 10001}\n",
    EVOLUTION + "{num_topics: 2.5}\n",
    EVOLUTION + "{num_topics: '4'}\n",
    EVOLUTION + "{num_topics: true}\n",
    EVOLUTION + "{drift: true}\n",
    EVOLUTION + "{drift: -0.1}\n",
    EVOLUTION + "{drift: '0.5'}\n",
    EVOLUTION + "{drift: }\n",
    EVOLUTION + "{choice: Cascade}\n",
    EVOLUTION + "{choice: 2}\n",
    "scenario: movielens\nparameters: {data: 3}\n",
    "scenario: movielens\nparameters: {carry: 'yes'}\n",
    "scenario: movielens\nparameters: {people: nobody}\n",
]


class Numbers(yaml.SafeLoader):
    """Numbers as editors read them, YAML 1.2's 1e2 among them."""


Numbers.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Numbers.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[0-9]+e[0-9]+$"), list("123456789"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return file_schema()


def takes(schema: dict[str, Any], text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(yaml.load(text, Numbers)))


def is_read(folder: Path, text: str) -> bool:
    (folder / "built_on.yaml").write_text("scenario: interest_evolution\n")
    (folder / "mine.yaml").write_text(text)
    try:
        find_world(str(folder / "mine.yaml"))
    except RecSimError:
        return False
    return True


def test_it_is_a_json_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_takes_every_preset_of_the_project(schema: dict[str, Any]) -> None:
    files = [path for name in registered() for path in preset_files(load_class(name)).values()]
    assert files
    assert [path.name for path in files if not takes(schema, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("text", RIGHT)
def test_schema_and_reader_take_what_is_right(text: str, schema: dict[str, Any], tmp_path: Path) -> None:
    assert takes(schema, text)
    assert is_read(tmp_path, text)


@pytest.mark.parametrize("text", WRONG)
def test_schema_and_reader_refuse_what_is_wrong(text: str, schema: dict[str, Any], tmp_path: Path) -> None:
    assert not takes(schema, text)
    assert not is_read(tmp_path, text)


def test_an_editor_is_told_names_ranges_defaults_and_meanings(schema: dict[str, Any]) -> None:
    names, files = schema["properties"]["scenario"]["anyOf"]
    assert {"interest_evolution", "long_term_satisfaction:hard"} <= set(names["enum"])
    assert "pattern" in files
    evolution = schema["$defs"]["interest_evolution"]["properties"]
    assert evolution["num_topics"] == {
        "type": "integer",
        "minimum": 2,
        "maximum": 10_000,
        "default": 20,
        "description": "topics of videos and of interests",
    }
    assert evolution["choice"]["enum"] == ["multinomial_logit", "proportional", "cascade"]
    assert evolution["choice"]["default"] == "multinomial_logit"


def test_the_schema_of_one_world_knows_its_names_and_its_presets_values() -> None:
    schema = file_schema("long_term_satisfaction:hard")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["parameters"]["properties"]["memory"]["default"] == 0.9
    assert takes(schema, "scenario: long_term_satisfaction\nparameters: {memory: 0.2}\n")
    assert not takes(schema, "scenario: long_term_satisfaction\nparameters: {memory: 2}\n")
    assert not takes(schema, "scenario: interest_evolution\n")


def test_the_schema_of_a_file_takes_the_file_by_its_name() -> None:
    schema = file_schema(str(Path(__file__).parents[2] / "examples" / "coffee_shop.py") + ":CoffeeShop")
    for name in ("coffee_shop.py:CoffeeShop", "../x/coffee_shop.py"):
        assert takes(schema, f"scenario: {name}\nparameters: {{recovery: 0.5}}\n")
        assert not takes(schema, f"scenario: {name}\nparameters: {{recover: 0.5}}\n")
    assert not takes(schema, "scenario: tea_shop.py:CoffeeShop\n")


def test_an_optional_parameter_may_be_null(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Optional(TinyWorld):
        limit: int | None = param(None, "of what", low=1)

    schema = parameters_schema(Optional)
    for value, right in (("null", True), ("3", True), ("0", False), ("many", False)):
        (tmp_path / "mine.yaml").write_text(f"scenario: x\nparameters: {{limit: {value}}}\n")
        file = read_scenario_file(tmp_path / "mine.yaml")
        assert jsonschema.Draft202012Validator(schema).is_valid(file.content.parameters) is right
        if right:
            check_parameters(file, "optional", Optional)
        else:
            with pytest.raises(RecSimError, match="limit must"):
                check_parameters(file, "optional", Optional)
