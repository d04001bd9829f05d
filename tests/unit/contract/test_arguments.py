"""Checks of arguments: what passes is the value itself, and each refusal names the field and quotes what was there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.contract import ContractError, arguments
from gridledger.field import grammar

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def refusal(call: Callable[..., Any], *values: Any, **named: Any) -> str:
    """The message of a refusal; fails the test where the value is taken."""
    with pytest.raises(ContractError) as caught:
        call(*values, **named)
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "argument: must be a JSON object, not []"),
        (None, "argument: must be a JSON object, not None"),
        ({}, "a: is missing"),
        ({"b": 1}, "a: is missing"),
        ({"a": 1, "c": 2}, "c: is no field here"),
        ({"a": 1, "b": 1, "é": 2}, r"\xe9: is no field here"),
        ({"a": 1, "x" * 99: 2}, f"{'x' * 59}..: is no field here"),
    ],
)
def test_members_are_all_there_and_no_others(value: Any, message: str) -> None:
    assert refusal(arguments.members, value, "", ("a",), ("b",)) == message


def test_an_object_within_another_is_named() -> None:
    assert refusal(arguments.members, {}, "head", ("t",)) == "head.t: is missing"
    assert refusal(arguments.members, {"t": 1, "u": 2}, "head", ("t",)) == "head.u: is no field here"
    assert refusal(arguments.members, 5, "head", ("t",)) == "head: must be a JSON object, not 5"
    for whole in ({"t": 1}, {"t": None, "n": 2}):
        assert arguments.members(whole, "head", ("t",), ("n",)) is whole


def test_arrays_have_their_length() -> None:
    assert arguments.items([1, 2], "path", 2) == [1, 2]
    assert arguments.items([], "path", 2, least=0) == []
    assert refusal(arguments.items, [], "path", 2) == "path: must be an array of 1 to 2, not []"
    assert refusal(arguments.items, [1, 2, 3], "path", 2) == "path: must be an array of 1 to 2, not [1, 2, 3]"
    assert refusal(arguments.items, (1, 2), "path", 2) == "path: must be an array of 1 to 2, not (1, 2)"


def test_integers_are_json_s_and_within_their_bounds() -> None:
    assert [arguments.integer(value, "t", 2, 5) for value in (2, 5)] == [2, 5]
    assert refusal(arguments.integer, 1, "t", 2, 5) == "t: must lie within 2 and 5, not 1"
    assert refusal(arguments.integer, 6, "t", 2, 5) == "t: must lie within 2 and 5, not 6"
    for value in (True, 2.0, "2", None):
        assert refusal(arguments.integer, value, "t", 0, 5) == f"t: must be an integer, not {value!r}"


def test_a_choice_is_of_the_same_type() -> None:
    assert arguments.choice(50, "nominal_hz", (50, 60)) == 50
    assert refusal(arguments.choice, 50.0, "nominal_hz", (50, 60)) == "nominal_hz: must be 50 or 60, not 50.0"
    assert refusal(arguments.choice, True, "kind", (1, 2)) == "kind: must be 1 or 2, not True"
    assert refusal(arguments.choice, "c", "kind", (each for each in "ab")) == "kind: must be a or b, not 'c'"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "reason: must be a string of 1 to 8 characters, not ''"),
        ("123456789", "reason: must be a string of 1 to 8 characters, not '123456789'"),
        (5, "reason: must be a string of 1 to 8 characters, not 5"),
        ("a\u202eb", "reason: has a character that nobody sees: U+202E"),
        ("a\nb", "reason: has a character that nobody sees: U+000A"),
        ("a\ud800", "reason: has a character that nobody sees: U+D800"),
        (" a", "reason: begins or ends with a blank"),
        ("a ", "reason: begins or ends with a blank"),
    ],
)
def test_texts_are_for_people(value: Any, message: str) -> None:
    assert refusal(arguments.text, value, "reason", 8) == message


def test_what_people_write_passes() -> None:
    for value in ("Bogotá", "変電所", "a b", "Ü"):
        assert arguments.text(value, "reason", 8) == value
    assert arguments.text("", "station", 8, least=0) == ""


def test_the_grammar_of_captures_has_the_same_unseen_characters() -> None:
    assert arguments.UNSEEN.pattern == grammar.UNSEEN.pattern


def test_a_hash_is_64_small_hexadecimal_digits() -> None:
    assert arguments.sha256("0a" * 32, "root") == "0a" * 32
    for value in ("0A" * 32, "0a" * 31, "0a" * 33, "0g" * 32, "0a" * 32 + "\n", None):
        assert refusal(arguments.sha256, value, "root").startswith(
            "root: must be 64 hexadecimal digits in small letters"
        )


def test_a_name_may_stand_in_a_key() -> None:
    for value in ("pmu-7", "7", "A.b_c-D", "x" * 64):
        assert arguments.name(value, "device") == value
    wrong: Any
    for wrong in ("", "-a", ".a", "a/b", "a b", "é", "x" * 65, "a\n", 7, None):
        assert refusal(arguments.name, wrong, "device").startswith('device: must be a name such as "pmu-7"')


def test_an_msp_s_id_is_that_of_a_policy() -> None:
    assert arguments.mspid("Org1.MSP-2") == "Org1.MSP-2"
    for value in ("", "a b", "x" * 129, None):
        assert refusal(arguments.mspid, value).startswith("mspid: must be the id of an MSP, not ")


def test_the_text_of_an_object_is_read_as_everywhere() -> None:
    assert arguments.json_object('{"a":[1]}', "body", 9) == {"a": [1]}
    nested = '{"a":' * 60 + "1" + "}" * 60
    assert arguments.json_object(nested, "body", 999)["a"]
    for value in ("", "{", '{"a":1,"a":2}', '{"a":NaN}', '{"a":1e400}', '{"a":' + nested + "}", '{"a":"\ud800"}'):
        assert refusal(arguments.json_object, value, "body", 999).startswith("body: is no JSON text: ")
    for value in ("[]", "1", "null"):
        assert refusal(arguments.json_object, value, "body", 9).startswith(
            "body: must be the JSON text of an object, not"
        )
    wrong: Any
    for wrong in ("{" + " " * 8 + "}", '{"é":"é"}', {}, None):
        message = "body: must be the JSON text of an object, at most 9 bytes, not "
        assert refusal(arguments.json_object, wrong, "body", 9).startswith(message)


def test_a_moment_is_told_in_whole_seconds_of_utc() -> None:
    assert arguments.moment(0) == "1970-01-01T00:00:00Z"
    assert arguments.moment(1_796_000_000_999_999) == "2026-11-30T00:53:20Z"


@given(JSON)
def test_whatever_comes_is_taken_or_refused_in_a_short_text_of_ascii(value: Any) -> None:
    checks: tuple[Callable[[], Any], ...] = (
        lambda: arguments.members(value, "where", ("a",), ("b",)),
        lambda: arguments.items(value, "where", 2),
        lambda: arguments.integer(value, "where", -9, 9),
        lambda: arguments.choice(value, "where", ("a", 1, None)),
        lambda: arguments.text(value, "where", 9),
        lambda: arguments.sha256(value, "where"),
        lambda: arguments.name(value, "where"),
        lambda: arguments.mspid(value, "where"),
    )
    for check in checks:
        message = message_of(check, value)
        assert message == "" or message.startswith("where")
        assert message.isascii()
        assert len(message) < 150


@given(st.text(max_size=20) | JSON.map(lambda value: json.dumps(value, ensure_ascii=False)) | JSON)
def test_any_text_is_an_object_s_or_refused(value: Any) -> None:
    message = message_of(lambda: [arguments.json_object(value, "where", 50)] and value, value)
    assert message == "" or message.startswith("where: ")
    assert message.isascii()


def message_of(check: Callable[[], Any], value: Any) -> str:
    """The message of a refusal, empty where the check gives the value back."""
    try:
        given = check()
    except ContractError as error:
        return error.message
    assert given == value
    return ""


def test_contracts_that_check_arguments_do_without_the_library_of_ciphers() -> None:
    program = "import sys; from gridledger.contract import arguments, paging; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
