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


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_a_whole_number_beyond_64_bits_is_read_as_binary64(number: int) -> None:
    read = jsontext.loads(f"[{number}]")[0]
    assert (type(read), read) == (float, float(number))
    assert type(jsontext.loads(f"[{2**64 - 1}]")[0]) is int


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
        "[" * 73 + "]" * 73,
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


@pytest.mark.parametrize("levels", [0, 1, 30, 67, 68, 69, 70, 71, 72, 73, 80])
@pytest.mark.parametrize("inner", ["1", OBJECTS, '"},{"', '["},{","],["]', "[" + ",".join(["[1]"] * 80) + "]"])
@pytest.mark.parametrize("way", [("[", "]"), ('{"a":', "}"), ('[{"],[":1},', "]"), ('["},{",', "]"), ("[ ", "]")])
def test_a_text_may_be_nested_72_deep_whatever_its_brackets(levels: int, inner: str, way: tuple[str, str]) -> None:
    text = way[0] * levels + inner + way[1] * levels
    assert (depth(json.loads(text)) > jsontext.MAX_DEPTH) == refused(text)
    assert refused(text) == refused(text.encode())


@pytest.mark.parametrize("leaf", ["null", "1", "{}"])
def test_less_depth_may_be_asked_for(leaf: str) -> None:
    inner = 1 if leaf == "{}" else 0
    jsontext.loads("[" * (5 - inner) + leaf + "]" * (5 - inner), 5)
    with pytest.raises(MalformedJSON, match="nested deeper than 5 levels"):
        jsontext.loads("[" * (6 - inner) + leaf + "]" * (6 - inner), 5)


def test_what_was_taken_in_can_be_wrapped_and_written() -> None:
    value = jsontext.loads("[" * jsontext.MAX_DEPTH + "null,1.5" + "]" * jsontext.MAX_DEPTH)
    assert jsontext.dumps({"a": [value, None]}).startswith(b'{"a":[[[')


@pytest.mark.parametrize(
    "text",
    ["1e+16", "1.5e+16", "1000000000000000.0", "1e-7", "0.00001", "5e-324", "1.7976931348623157e+308", "-0.0"],
)
def test_a_number_has_one_text_whatever_orjson_is_installed(text: str) -> None:
    """These are hashed: orjson before 3.11.7 writes 1e16."""
    assert jsontext.dumps(float(text)) == text.encode()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10**16)))
def test_a_text_grows_less_than_fourfold_when_written_again(numbers: list[float]) -> None:
    for text in (",".join(shortest(number) for number in numbers), ",".join(map(repr, numbers))):
        assert len(jsontext.dumps(jsontext.loads(f"[{text}]"))) < 4 * len(text) + 4


def test_the_worst_number_grows_less_than_fourfold() -> None:
    text = b"[" + b",".join([b"9e15"] * 1000) + b"]"
    assert 3.7 < len(jsontext.dumps(jsontext.loads(text))) / len(text) < 4


def shortest(number: float) -> str:
    """A number's shortest text: 9e15, which is written again as 9000000000000000.0."""
    exponent = f"{number:.17g}".partition("e")[0]
    short = f"{number:e}".replace("e+0", "e").replace("e+", "e")
    mantissa, _, power = short.partition("e")
    short = f"{mantissa.rstrip('0').rstrip('.')}e{power}"
    return short if float(short) == number else exponent if float(exponent) == number else repr(number)


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
