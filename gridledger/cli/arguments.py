"""A function's arguments as words of the command line: what JSON value each stands for.

A word that is not JSON is a text. ``@FILE`` and ``-`` (standard input) are read as strict JSON. Where the chaincode's
metadata declare a parameter as a text, the word is that text, whatever it looks like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError, MalformedJSON

MAX_ARGUMENT_BYTES: Final = 16 * 1024 * 1024
TEXT: Final = frozenset(("string",))
"""The JSON types of a parameter that takes texts only."""

_WHOLE_NUMBER: Final = re.compile(r"\s*-?\d+\s*")
JSON_TYPES: Final[Mapping[type, tuple[str, ...]]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    list: ("array",),
    dict: ("object",),
    type(None): ("null",),
}

Warn = Callable[[str], None]
Types = frozenset[str] | None
"""The JSON types that a parameter takes (as a JSON schema names them); None where that is not known."""


def read_arguments(words: Sequence[str], types: Sequence[Types], stdin: BinaryIO, warn: Warn) -> list[Any]:
    """The values of ``words``; ``types`` are those of the function's parameters, as far as they are known.

    Raises :class:`InputError`, which names the argument. ``warn`` is told of a text that was likely meant otherwise.
    """
    known = [*types[: len(words)], *([None] * (len(words) - len(types)))]
    if sum(word == "-" and taken != TEXT for word, taken in zip(words, known, strict=True)) > 1:
        raise InputError("only one argument can be read from standard input")
    values = []
    for position, (word, taken) in enumerate(zip(words, known, strict=True), 1):
        try:
            values.append(_read(word, taken, stdin))
        except (GridLedgerError, OSError) as error:
            raise InputError(f"argument {position}: {error}") from None
        if taken == TEXT and _is_quoted(word):
            warn(f"argument {position} is declared as a text, so its quotes are part of it; without them: {word[1:-1]}")
    return values


def may_depend_on_types(words: Sequence[str]) -> bool:
    """Whether any word is read differently where its parameter is declared as a text."""
    return any(word.startswith(("@", "-")) or _looks_like_json(word) or _is_json(word) for word in words)


def _read(word: str, taken: Types, stdin: BinaryIO) -> Any:
    if taken == TEXT:
        return _text(word)
    if word == "-":
        return jsontext.loads(_bounded(stdin))
    if word.startswith("@"):
        return _read_file(word)
    value = _value_of(word)
    if taken is not None and "string" in taken and taken.isdisjoint(JSON_TYPES[type(value)]):
        return _text(word)
    return value


def _read_file(word: str) -> Any:
    try:
        with Path(word[1:]).open("rb") as file:
            return jsontext.loads(_bounded(file))
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {word[1:]}: {reason}. As a text it is written {_in_shell(word)}") from None
    except GridLedgerError as error:
        raise InputError(f"{word[1:]}: {error.message}") from None


def _value_of(word: str) -> Any:
    text = _text(word)
    try:
        value = jsontext.loads(text)
    except MalformedJSON as error:
        if _looks_like_json(text):
            raise InputError(f"{_shown(word)} is {_reason(error)}. {_quoting(word)}") from None
        return text
    if isinstance(value, float) and _WHOLE_NUMBER.fullmatch(text):
        raise InputError(f"{_shown(word)} is beyond 64 bits; as a text it is written {_in_shell(word)}")
    return value


def _text(word: str) -> str:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise InputError("not UTF-8") from None
    return word


def _looks_like_json(word: str) -> bool:
    return word.lstrip().startswith(("{", "[", '"'))


def _is_json(word: str) -> bool:
    try:
        jsontext.loads(word.encode(errors="replace"))
    except MalformedJSON:
        return False
    return True


def _is_quoted(word: str) -> bool:
    return len(word) > 1 and word[0] == word[-1] == '"'


def _bounded(file: BinaryIO) -> bytes:
    text = file.read(MAX_ARGUMENT_BYTES + 1)
    if len(text) > MAX_ARGUMENT_BYTES:
        raise InputError(f"longer than {MAX_ARGUMENT_BYTES} bytes")
    return text


def _reason(error: MalformedJSON) -> str:
    return error.message.partition(":")[0] if error.message.startswith("not a JSON text") else f"refused: {error}"


def _quoting(word: str) -> str:
    """What to do about a word that looks like JSON and is none."""
    if '"' in word:
        return f"As a text it is written {_in_shell(word)}"
    return (
        "The shell takes double quotes away: put the whole argument into single quotes, such as '{\"a\": 1}'. "
        f"As a text it is written {_in_shell(word)}"
    )


def _in_shell(word: str) -> str:
    """A word as a JSON text, as one types it."""
    return "'" + json.dumps(_shown(word), ensure_ascii=False).replace("'", "'\\''") + "'"


def _shown(word: str) -> str:
    return word if len(word) <= 80 else word[:77] + "..."  # noqa: PLR2004 - a line's width
