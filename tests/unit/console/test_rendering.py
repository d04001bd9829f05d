"""Values as pages show them."""

from __future__ import annotations

import json
from typing import Any

from services.console.rendering import MAX_SHOWN, pretty_bounded


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def test_a_small_value_is_shown_whole() -> None:
    value = {"a": [1, None, "ä"], "b": {}}
    assert json.loads(pretty_bounded(value)) == value
    assert pretty_bounded({"a": "ä"}) == '{\n "a": "ä"\n}'


def test_what_is_nested_deeply_is_cut() -> None:
    shown = pretty_bounded(nested([1] * 20_000, 60))
    assert len(shown) < MAX_SHOWN + 100
    assert shown.endswith(f"and more: this page shows {MAX_SHOWN:,} characters of it")
