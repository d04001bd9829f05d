"""Writes docs/scenario.schema.json, the JSON schema of scenario files: ``python -m docs.make_scenario_schema``."""

from __future__ import annotations

import json
from pathlib import Path

from services.feeder.scenario_file.form import ScenarioForm

PAGE = Path(__file__).with_name("scenario.schema.json")


def page() -> str:
    """The document."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ScenarioForm.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
