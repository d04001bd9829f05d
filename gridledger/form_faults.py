"""What is wrong with a member of a file, in plain words: pydantic's faults as a user of the file reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_LONGEST: Final = 40
_LARGEST_NUMBER: Final = 10**18
_EXAMPLES: Final = {
    "bool": "must be true or false",
    "dict": "must be a mapping, like {name: value}",
    "float": "must be a number",
    "int": "must be a whole number",
    "list": "must be a list, like [1, 2]",
    "model": "must be a mapping, like {name: value}",
    "string": "must be a text",
}


def plain_fault(fault: Mapping[str, Any]) -> str:
    """A fault of pydantic's ``ValidationError.errors()`` in plain words, with the value where that is short."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "string_type" and isinstance(fault["input"], int | float) and _is_shown(fault["input"]):
        return f'must be a text: write "{fault["input"]}" in quotes'
    if (tell := _TOLD.get(kind)) is not None:
        return tell(context) + _instead_of(fault["input"])
    if (example := _EXAMPLES.get(kind.split("_")[0])) is not None and kind.endswith(("_type", "_parsing", "_float")):
        return example + _instead_of(fault["input"])
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"must have {bound} entries, not {context['actual_length']}"
    plain = {"missing": "is missing", "extra_forbidden": "is unknown"}.get(kind, fault["msg"])
    return str(plain).removeprefix("Value error, ").replace("Input should be", "must be")


def _is_shown(value: Any) -> bool:
    """Whether a message can hold a value: Python writes no number of thousands of digits, nor what is made of them."""
    return not isinstance(value, dict | list) and not (isinstance(value, int) and abs(value) >= _LARGEST_NUMBER)


def _instead_of(value: Any) -> str:
    """ ", not VALUE" where the value is a short one."""
    if not _is_shown(value):
        return ""
    shown = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if len(shown) > _LONGEST or not shown.isprintable():
        return ""
    return f", not {shown}" if shown else ", not empty"


def _bound(words: str, name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda context: f"must be {words} {context[name]:g}"


def _one_of(context: Mapping[str, Any]) -> str:
    return f"must be {context['expected']}"


_TOLD: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "greater_than": _bound("above", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("below", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "finite_number": lambda _: "must be a number that is neither infinite nor nan",
    "literal_error": _one_of,
    "enum": _one_of,
    "string_pattern_mismatch": lambda context: f"must be written as the pattern {context['pattern']} says",
    "string_too_short": lambda context: f"must have at least {context['min_length']} characters",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
}
