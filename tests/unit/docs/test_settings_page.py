"""docs/settings.md is what the code says."""

from __future__ import annotations

from docs.make_settings import PAGE, SERVICES, page


def test_the_page_is_what_is_generated() -> None:
    assert PAGE.read_text() == page(), "run make reference"


def test_every_member_has_its_variable() -> None:
    text = page()
    for settings in SERVICES.values():
        for name, field in settings.model_fields.items():
            inner = getattr(field.annotation, "model_fields", {})
            for variable in [f"{name}__{member}" for member in inner] or [name]:
                assert f"`GRIDLEDGER_{variable.upper()}`" in text
