"""A function's arguments: what JSON value a word of the command line stands for."""

from __future__ import annotations

import io
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.cli.arguments import MAX_ARGUMENT_BYTES, TEXT, Types, may_depend_on_types, read_arguments
from gridledger.errors import GridLedgerError, InputError

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def read(*words: str, types: Sequence[Types] = (), stdin: bytes = b"", warnings: list[str] | None = None) -> Any:
    said = [] if warnings is None else warnings
    values = read_arguments(words, types, io.BytesIO(stdin), said.append)
    return values[0] if len(values) == 1 else values


def is_json(text: str) -> bool:
    try:
        jsontext.loads(text)
    except GridLedgerError:
        return False
    return True


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("m1", "m1"),
        ("", ""),
        ("two words", "two words"),
        ("größe", "größe"),
        ("007", "007"),
        ("+5", "+5"),
        (".5", ".5"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("-abc", "-abc"),
        ("True", "True"),
        ("5", 5),
        ("-5", -5),
        ("2.50", 2.5),
        ("-1e-3", -0.001),
        ("18446744073709551615", 2**64 - 1),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ('{"a": [1, -2.5]}', {"a": [1, -2.5]}),
        ("[]", []),
    ],
)
def test_a_word_is_json_or_else_a_text(word: str, value: object) -> None:
    found = read(word)
    assert (found, type(found)) == (value, type(value))


@given(VALUES)
def test_every_json_text_is_its_value(value: object) -> None:
    assert read(jsontext.dumps(value).decode()) == value


@given(st.text().filter(lambda text: text[:1] not in ("@", "-") and text.lstrip()[:1] not in ("{", "[", '"')))
def test_what_is_not_json_is_itself(text: str) -> None:
    assert is_json(text) or read(text) == text  # JSON may be refused: a whole number beyond 64 bits


@given(st.text())
def test_a_declared_text_is_itself_whatever_it_looks_like(text: str) -> None:
    assert read(text, types=[TEXT]) == text


@pytest.mark.parametrize("word", ["5", "-5", "true", "null", "{a:1}", '{"a":1}', "@nowhere", "-", '"m1"'])
def test_a_declared_text_is_no_number_and_no_file(word: str) -> None:
    assert read(word, types=[TEXT]) == word


def test_the_quotes_of_a_declared_text_are_told_of() -> None:
    said: list[str] = []
    assert read('"m1"', "x", types=[TEXT, TEXT], warnings=said) == ['"m1"', "x"]
    assert said == ["argument 1 is declared as a text, so its quotes are part of it; without them: m1"]


def test_a_text_or_null_takes_null_and_texts() -> None:
    types = [frozenset(("string", "null"))] * 4
    assert read("5", "null", "true", '"a"', types=types) == ["5", None, "true", "a"]
    assert read("5", types=[frozenset(("string", "integer"))]) == 5
    assert read("5", types=[frozenset(("string", "number"))]) == 5
    assert read("true", types=[frozenset(("string", "number"))]) == "true"


@pytest.mark.parametrize("word", ["{a:1}", "{a: 1, b: [2]}", "[a, b]", '"open', '{"a": 1, "a": 2}', "[1", "{"])
def test_what_looks_like_json_and_is_none_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=r"^argument 2: ") as caught:
        read("x", word)
    *_, as_text = caught.value.message.partition("As a text it is written ")
    assert read(shlex.split(as_text)[0]) == word


def test_the_message_names_the_quotes_that_the_shell_took() -> None:
    with pytest.raises(InputError, match=r"The shell takes double quotes away.*single quotes") as caught:
        read("{a:1}")
    assert caught.value.message.count("\n") == 0
    with pytest.raises(InputError) as caught:
        read('{"a": 1')
    assert "shell" not in caught.value.message


@given(st.text(max_size=40).map(lambda text: "{" + text).filter(lambda text: not is_json(text)))
def test_the_message_shows_how_the_word_is_typed_as_a_text(word: str) -> None:
    with pytest.raises(InputError) as caught:
        read(word)
    *_, as_text = caught.value.message.partition("As a text it is written ")
    assert read(shlex.split(as_text)[0]) == word


@pytest.mark.parametrize("word", ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"])
def test_a_whole_number_that_would_lose_digits_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="beyond 64 bits"):
        read(word)
    assert read(word, types=[TEXT]) == word


def test_a_word_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InputError, match="argument 1: not UTF-8"):
        read("m\udcff")


def test_files_and_standard_input_are_strict_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(' {"a": "ä"}\n')
    assert read(f"@{tmp_path / 'a.json'}", "-", stdin=b"[1, 2]\n") == [{"a": "ä"}, [1, 2]]
    (tmp_path / "b.json").write_text("hello")
    with pytest.raises(InputError, match=r"argument 1: .*b\.json: not a JSON text"):
        read(f"@{tmp_path / 'b.json'}")
    with pytest.raises(InputError, match="argument 1: not a JSON text"):
        read("-", stdin=b"hello")


@pytest.mark.parametrize("name", ["nowhere.json", "", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="argument 1: cannot read ") as caught:
        read(f"@{name}")
    assert "As a text it is written '\"@" in caught.value.message


def test_standard_input_is_read_once() -> None:
    with pytest.raises(InputError, match="only one argument"):
        read("-", "-")
    assert read("-", "-", types=[TEXT], stdin=b"1") == ["-", 1]


def test_an_argument_has_a_bound() -> None:
    with pytest.raises(InputError, match="longer than"):
        read("-", stdin=b" " * (MAX_ARGUMENT_BYTES + 1))


@pytest.mark.parametrize("words", [["5"], ["x", "true"], ["@x"], ["-"], ["{a:1}"], ["[a"], ['"m1"'], ['"m1']])
def test_types_matter_for_what_looks_like_something_else(words: list[str]) -> None:
    assert may_depend_on_types(words)


@given(st.lists(st.text()))
def test_words_that_need_no_types_are_read_alike_with_any(words: list[str]) -> None:
    if not may_depend_on_types(words):
        assert read_arguments(words, [], io.BytesIO(), print) == words
        assert read_arguments(words, [TEXT] * len(words), io.BytesIO(), print) == words
