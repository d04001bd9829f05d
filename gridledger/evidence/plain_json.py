"""The parts of orjson that reading and writing the ledger's texts takes, in plain Python: same values, same bytes.

The verifier in an evidence package has this module in orjson's place, so that it runs with cryptography alone. A test
holds both equal. It is an order of magnitude slower.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, Final, NoReturn

OPT_PASSTHROUGH_DATACLASS: Final = 1 << 11
OPT_PASSTHROUGH_DATETIME: Final = 1 << 9
_MAX_DEPTH: Final = 1024
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64
_MAX_DIGITS: Final = 20
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LEAST_POINT, _MOST_POINT = -4, 16
"""Where the decimal point may lie, counted from the first digit, in a number that is written without an exponent."""


class JSONDecodeError(ValueError):
    """What was to be read is no JSON text."""


class JSONEncodeError(TypeError):
    """What was to be written has no JSON text."""


class Fragment:
    """A JSON text that is written as it is."""

    __slots__ = ("contents",)

    def __init__(self, contents: bytes | str) -> None:
        self.contents = contents if isinstance(contents, str) else contents.decode()


def loads(text: bytes | bytearray | memoryview | str) -> Any:
    """The value of a JSON text; a whole number beyond 64 bits is the nearest binary64."""
    try:
        told = text if isinstance(text, str) else bytes(text).decode()
        value = _DECODER.decode(told)
    except (ValueError, RecursionError) as error:
        raise JSONDecodeError(str(error)) from None
    if _ESCAPED_SURROGATE.search(told):
        _refuse_lone_surrogates([value])
    return value


def dumps(value: Any, default: None = None, option: int | None = None) -> bytes:
    """The one text of a value, as UTF-8."""
    del default, option  # of the options given only such are used as pass on what is refused here anyway
    parts: list[str] = []
    _write(value, parts, 0)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise JSONEncodeError("str is not valid UTF-8: surrogates not allowed") from None


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise JSONEncodeError("Recursion limit reached")
    if value is None or value is True or value is False:
        parts.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, str):
        parts.append(_quoted(value))
    elif isinstance(value, int):
        if not _LEAST_INTEGER <= value < _MOST_INTEGER:
            raise JSONEncodeError("Integer exceeds 64-bit range")
        parts.append(str(int(value)))
    elif isinstance(value, float):
        parts.append(_number(value))
    elif isinstance(value, dict):
        _write_object(value, parts, depth)
    elif isinstance(value, list | tuple):
        parts.append("[")
        for position, item in enumerate(value):
            if position:
                parts.append(",")
            _write(item, parts, depth + 1)
        parts.append("]")
    elif isinstance(value, Fragment):
        parts.append(value.contents)
    else:
        raise JSONEncodeError(f"Type is not JSON serializable: {type(value).__name__}")


def _write_object(value: dict[Any, Any], parts: list[str], depth: int) -> None:
    parts.append("{")
    for position, (name, item) in enumerate(value.items()):
        if not isinstance(name, str):
            raise JSONEncodeError("Dict key must be str")
        parts += (",", _quoted(name), ":") if position else (_quoted(name), ":")
        _write(item, parts, depth + 1)
    parts.append("}")


def _number(value: float) -> str:
    """The shortest digits that read back as the number; repr finds the same, and sets the point by another rule."""
    if not isfinite(value):
        return "null"
    sign, digits, point = _digits_of(value)
    if _LEAST_POINT <= point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= _MOST_POINT:
        whole, rest = digits[:point].ljust(point, "0"), digits[point:]
        return f"{sign}{whole}.{rest or '0'}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _digits_of(value: float) -> tuple[str, str, int]:
    """Sign, digits without zeros at their ends, and how many of them stand before the point."""
    mantissa, _, exponent = repr(value).partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return (sign, digits.rstrip("0"), point) if digits else (sign, "0", 1)


def _integer(text: str) -> int | float:
    value = int(text) if len(text) <= _MAX_DIGITS else _MOST_INTEGER
    return value if _LEAST_INTEGER <= value < _MOST_INTEGER else _finite(text)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError("number is infinity when parsed as double")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _refuse_lone_surrogates(value: Any) -> None:
    for item in (*value, *value.values()) if isinstance(value, dict) else value:
        if isinstance(item, str):
            try:
                item.encode()
            except UnicodeEncodeError:
                raise JSONDecodeError("no low surrogate in string") from None
        elif isinstance(item, dict | list):
            _refuse_lone_surrogates(item)


_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_no_constant)
_quoted: Final = json.JSONEncoder(ensure_ascii=False).encode
