"""The strict reader and writer of JSON texts."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.errors import MalformedJSON

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    assert jsontext.loads(jsontext.dumps(value)) == value


@given(values)
def test_a_value_has_one_text(value: object) -> None:
    text = jsontext.dumps(value)
    assert jsontext.dumps(jsontext.loads(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '{"a":":","a":2}',
        '[{"x":{"b":[{"c":1,"c":1}]}}]',
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e400",
        "-1e400",
        "1" * 400,
        '{"a":1}{}',
        "",
        "{'a':1}",
        '"\ud800"'.encode("utf-8", "surrogatepass"),
        b"\xff",
        "[" * 70 + "]" * 70,
    ],
)
def test_texts_that_two_readers_could_read_differently_are_refused(text: str | bytes) -> None:
    with pytest.raises(MalformedJSON):
        jsontext.loads(text)


@pytest.mark.parametrize("text", ['{"a:":":::","b":"\\":"}', '{"a":{"a":{"a":1}}}', '[{"a":1},{"a":1}]', '":"'])
def test_colons_in_strings_and_equal_names_in_other_objects_are_fine(text: str) -> None:
    assert jsontext.loads(text) == json.loads(text)
    assert jsontext.loads(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "value", [math.nan, [None, math.inf], {"a": {"b": -math.inf}}, {1: 2}, {1, 2}, 2**64, -(2**63) - 1, b"x", object()]
)
def test_values_without_a_json_text_are_refused(value: object) -> None:
    with pytest.raises(MalformedJSON):
        jsontext.dumps(value)


@given(
    st.lists(st.sampled_from(['"a"', '"b"', '"\\u0061"', '":"']), max_size=4),
    st.sampled_from(["1", '":"', '{"a":1}', '{"a":1,"a":2}', "[]"]),
)
def test_duplicates_are_found_wherever_json_finds_them(names: list[str], value: str) -> None:
    text = "{" + ",".join(f"{name}:{value}" for name in names) + "}"

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise KeyError
        return dict(pairs)

    try:
        expected = json.loads(text, object_pairs_hook=unique)
    except KeyError:
        with pytest.raises(MalformedJSON):
            jsontext.loads(text)
    else:
        assert jsontext.loads(text) == expected


OBJECTS = "[" + ",".join(['{"a":{"b":[1,2]}}'] * 80) + "]"


@pytest.mark.parametrize("levels", [0, 1, 30, 59, 60, 61, 62, 63, 70])
@pytest.mark.parametrize("inner", ["1", OBJECTS, '"},{"', '["},{","],["]', "[" + ",".join(["[1]"] * 80) + "]"])
@pytest.mark.parametrize("way", [("[", "]"), ('{"a":', "}"), ('[{"],[":1},', "]"), ('["},{",', "]"), ("[ ", "]")])
def test_a_text_may_be_nested_64_deep_however_many_brackets_it_has(
    levels: int, inner: str, way: tuple[str, str]
) -> None:
    text = way[0] * levels + inner + way[1] * levels
    assert (levels + depth(json.loads(inner)) > jsontext.MAX_DEPTH + 1) == refused(text)
    assert refused(text) == refused(text.encode())


def depth(value: object) -> int:
    """How many containers lie around the innermost place of a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max((depth(item) for item in inside), default=0)


def refused(text: str | bytes) -> bool:
    try:
        jsontext.loads(text)
    except MalformedJSON:
        return True
    return False
