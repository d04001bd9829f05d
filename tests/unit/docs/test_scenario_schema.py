"""docs/scenario.schema.json is the form of scenario files."""

from __future__ import annotations

import json

import pytest
import yaml

from docs.make_scenario_schema import PAGE, page
from services.feeder.scenarios.shipped import FOLDER, NAMES


def test_the_file_is_what_is_generated() -> None:
    assert PAGE.read_text() == page(), "run make reference"


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_that_comes_along_names_the_schema(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=../../../docs/scenario.schema.json"
    schema = json.loads(page())
    assert yaml.safe_load(text).keys() <= schema["properties"].keys()
    assert set(schema["required"]) <= yaml.safe_load(text).keys()
