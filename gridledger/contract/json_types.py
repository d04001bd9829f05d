"""The types that a transaction's parameters can be declared with: each takes a JSON value and has a JSON schema.

A type hands JSON's own values on as they are: an integer stays an integer where a float is declared, and a boolean is
no number. It makes a dataclass of an object and a tuple of an array. Texts of refusals hold no ``repr``, so that every
version of Python writes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final, NoReturn, Protocol

from gridledger import jsontext

_SHOWN_CHARACTERS: Final = 40
_NULL: Final = type(None)

Schema = dict[str, Any]
"""A JSON schema."""

Components = dict[str, Schema]
"""The schemas of the objects that other schemas refer to, by name."""


class Mismatch(Exception):
    """A value is not of the type declared: ``path`` is where in the argument, ``why`` what must be there."""

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path

    def within(self, part: str) -> Mismatch:
        """The same one, seen from the value around it."""
        self.path = part + self.path
        return self


class JsonType(Protocol):
    """A type that can be declared."""

    @property
    def words(self) -> str:
        """How a refusal calls it."""

    def take(self, value: Any) -> Any:
        """What the contract gets for a JSON value; raises :class:`Mismatch`."""

    def schema(self, components: Components) -> Schema:
        """Its JSON schema; what the schema refers to is added to ``components``."""


def shown(value: Any) -> str:
    """A JSON value as a refusal quotes it: short, and the same text everywhere."""
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "..."
        return jsontext.dumps(cut).decode()
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list | tuple):
        return f"an array of {len(value)}"
    return jsontext.dumps(value).decode()


def _refuse(expected: JsonType, value: Any) -> NoReturn:
    raise Mismatch(f"must be {expected.words}, not {shown(value)}")


@dataclass(frozen=True, slots=True)
class AnyValue:
    """Every JSON value: what ``Any`` and ``object`` declare."""

    words: str = "any value"

    def take(self, value: Any) -> Any:
        """The value."""
        return value

    def schema(self, components: Components) -> Schema:
        """The schema that all values meet."""
        del components
        return {}


_BEYOND_64_BITS: Final = 2.0**63
"""A whole number as large is likely one that was read as a float because it does not fit into 64 bits."""
ANY: Final[JsonType] = AnyValue()


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value of one of Python's own types: ``kinds``, no subclasses."""

    kinds: tuple[type, ...]
    words: str
    meaning: Mapping[str, Any]

    def take(self, value: Any) -> Any:
        """The value."""
        if type(value) not in self.kinds:
            if self.kinds == (int,) and type(value) is float and abs(value) >= _BEYOND_64_BITS:
                raise Mismatch(f"must be {self.words} within 64 bits, not {shown(value)}")
            _refuse(self, value)
        return value

    def schema(self, components: Components) -> Schema:
        """Such as {"type": "integer"}."""
        del components
        return dict(self.meaning)


SCALARS: Final[Mapping[type, Scalar]] = {
    str: Scalar((str,), "a string (str)", {"type": "string"}),
    int: Scalar((int,), "an integer (int)", {"type": "integer", "format": "int64"}),
    float: Scalar((float, int), "a number (float)", {"type": "number", "format": "double"}),
    bool: Scalar((bool,), "true or false (bool)", {"type": "boolean"}),
    _NULL: Scalar((_NULL,), "null", {"type": "null"}),
}


class Choice:
    """One of a few values: ``Literal``. Compared with their types, so that 1 is neither 1.0 nor true."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = list(values)
        self._allowed = frozenset((type(value), value) for value in values)
        self.words = "one of " + ", ".join(shown(value) for value in values)

    def take(self, value: Any) -> Any:
        """The value."""
        if not isinstance(value, str | int | None) or (type(value), value) not in self._allowed:
            _refuse(self, value)
        return value

    def schema(self, components: Components) -> Schema:
        """{"enum": the values}."""
        del components
        return {"enum": self._values}


class Either:
    """One of several types; the first that takes the value counts."""

    def __init__(self, types: Sequence[JsonType]) -> None:
        self._types = tuple(types)
        self.words = " or ".join(each.words for each in types)

    def take(self, value: Any) -> Any:
        """What the first type that takes the value makes of it."""
        inside: list[Mismatch] = []
        for each in self._types:
            try:
                return each.take(value)
            except Mismatch as mismatch:
                if mismatch.path:
                    inside.append(mismatch)
        if len(inside) == 1:  # only one type is of this shape, and it says what is wrong inside
            raise inside[0]
        _refuse(self, value)

    def schema(self, components: Components) -> Schema:
        """{"anyOf": the types' schemas}."""
        return {"anyOf": [each.schema(components) for each in self._types]}


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """An array whose items are of one type; ``make`` is list or tuple."""

    item: JsonType
    make: Callable[[list[Any]], Any]
    words: str = "an array (list)"

    def take(self, value: Any) -> Any:
        """The items as their type hands them on."""
        if type(value) is not list:
            _refuse(self, value)
        return self.make(_take_each(repeat(self.item.take), value))

    def schema(self, components: Components) -> Schema:
        """{"type": "array", "items": ...}."""
        return {"type": "array", "items": self.item.schema(components)}


class FixedArray:
    """An array of so many items, each of a type of its own: ``tuple[A, B]``."""

    def __init__(self, types: Sequence[JsonType]) -> None:
        self._types = tuple(types)
        self.words = f"an array of {len(types)} (tuple)"

    def take(self, value: Any) -> tuple[Any, ...]:
        """A tuple of the items."""
        if type(value) is not list or len(value) != len(self._types):
            _refuse(self, value)
        return tuple(_take_each([each.take for each in self._types], value))

    def schema(self, components: Components) -> Schema:
        """The items' schemas, as JSON Schema 2020-12 lists them."""
        items = [each.schema(components) for each in self._types]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """An object with any names, whose values are of one type: ``dict[str, T]``."""

    value: JsonType
    words: str = "an object (dict)"

    def take(self, value: Any) -> dict[str, Any]:
        """The values as their type hands them on, in the same order."""
        if type(value) is not dict:
            _refuse(self, value)
        taken: dict[str, Any] = {}
        for name, item in value.items():
            try:
                taken[name] = self.value.take(item)
            except Mismatch as mismatch:
                raise mismatch.within(f"[{shown(name)}]") from None
        return taken

    def schema(self, components: Components) -> Schema:
        """{"type": "object", "additionalProperties": ...}."""
        return {"type": "object", "additionalProperties": self.value.schema(components)}


@dataclass(slots=True, eq=False)
class Record:
    """An object with just these fields: a dataclass, or a TypedDict.

    ``fields`` is filled after the record was made, so that a field may hold a record of the same type.
    """

    name: str
    make: Callable[..., Any]
    fields: dict[str, JsonType] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    words: str = ""

    def __post_init__(self) -> None:
        self.words = f"an object ({self.name})"

    def take(self, value: Any) -> Any:
        """The instance; members that have a default may be absent."""
        if type(value) is not dict:
            _refuse(self, value)
        taken: dict[str, Any] = {}
        for name, item in value.items():
            known = self.fields.get(name)
            if known is None:
                raise Mismatch(f"is no field of {self.name}", f".{shown(name)[1:-1]}")
            try:
                taken[name] = known.take(item)
            except Mismatch as mismatch:
                raise mismatch.within(f".{name}") from None
        for name in self.required:
            if name not in taken:
                raise Mismatch("is missing", f".{name}")
        return self.make(**taken)

    def schema(self, components: Components) -> Schema:
        """A reference to the record's schema among ``components``."""
        if self.name not in components:
            properties: dict[str, Schema] = {}
            components[self.name] = {
                "$id": self.name,
                "type": "object",
                "properties": properties,
                "required": list(self.required),
                "additionalProperties": False,
            }
            # Among the components before its fields are: a field may hold a record of the same type.
            for name, each in self.fields.items():
                properties[name] = each.schema(components)
        return {"$ref": f"#/components/schemas/{self.name}"}


def _take_each(takers: Iterable[Callable[[Any], Any]], values: Sequence[Any]) -> list[Any]:
    taken: list[Any] = []
    try:
        for take, value in zip(takers, values, strict=False):  # the takers of an array's items have no end
            taken.append(take(value))
    except Mismatch as mismatch:
        raise mismatch.within(f"[{len(taken)}]") from None
    return taken
