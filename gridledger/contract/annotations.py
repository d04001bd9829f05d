"""What annotations declare: reads those of a transaction, once, when its chaincode is loaded."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, InitVar, fields, is_dataclass
from inspect import unwrap
from types import SimpleNamespace
from typing import Any, Final

from gridledger.contract.json_types import (
    ANY,
    SCALARS,
    ArrayOf,
    Choice,
    Either,
    FixedArray,
    JsonType,
    ObjectOf,
    Record,
)

_ARRAYS: Final = (list, Sequence)
_OBJECTS: Final = (dict, Mapping)
_UNIONS: Final = (typing.Union, types.UnionType)
_LITERALS: Final = (str, int, type(None))
_CHOICES: Final = "str, int, float, bool, None, list[T], tuple[A, B], dict[str, T], Literal, unions, dataclasses, Any"


class AnnotationError(TypeError):
    """An annotation cannot be resolved, or declares what is no JSON value."""


class DeclaredTypes:
    """The types that the annotations of one chaincode declare; each dataclass is one record, with a name of its own."""

    def __init__(self) -> None:
        self._records: dict[type, Record] = {}

    def of(self, method: Callable[..., Any], name: str) -> JsonType:
        """The type of a parameter (or ``"return"``) of ``method``; any value where it has no annotation.

        Raises :class:`AnnotationError`.
        """
        written = _annotations(method)
        if name not in written:
            return ANY
        declared = _resolve({name: written[name]}, unwrap(method).__globals__)[name]
        return self._type(declared)

    def _type(self, declared: Any) -> JsonType:
        if declared is Any or declared is object:
            return ANY
        if isinstance(declared, type) and declared in SCALARS:
            return SCALARS[declared]
        if isinstance(declared, typing.NewType):
            return self._type(declared.__supertype__)
        origin, arguments = typing.get_origin(declared) or declared, typing.get_args(declared)
        if origin is typing.Annotated:
            return self._type(arguments[0])
        if origin in _UNIONS:
            return self._either(arguments)
        if origin is typing.Literal and all(type(value) in (*_LITERALS, bool) for value in arguments):
            return Choice(arguments)
        if isinstance(origin, type):
            found = self._container(origin, arguments) or self._record(origin)
            if found is not None:
                return found
        raise AnnotationError(f"{_name(declared)} is no JSON type; take one of {_CHOICES}")

    def _either(self, arguments: Iterable[Any]) -> JsonType:
        members = [self._type(each) for each in arguments]
        return ANY if ANY in members else Either(members)

    def _container(self, origin: type, arguments: tuple[Any, ...]) -> JsonType | None:
        if origin in _ARRAYS:
            return ArrayOf(self._type(arguments[0]) if arguments else ANY, list)
        if origin is tuple and (not arguments or arguments[1:] == (...,)):
            return ArrayOf(self._type(arguments[0]) if arguments else ANY, tuple, "an array (tuple)")
        if origin is tuple:
            return FixedArray([self._type(each) for each in arguments])
        if origin in _OBJECTS and (not arguments or arguments[0] is str):
            return ObjectOf(self._type(arguments[1]) if arguments else ANY)
        return None

    def _record(self, cls: type) -> Record | None:
        if not is_dataclass(cls) and not typing.is_typeddict(cls):
            return None
        known = self._records.get(cls)
        if known is None:
            before = dict(self._records)
            # Known before its fields are: a field may hold the same type again.
            known = self._records[cls] = Record(self._free_name(cls), cls)
            try:
                self._fill(known, cls)
            except AnnotationError:
                self._records = before
                raise
        return known

    def _fill(self, record: Record, cls: type) -> None:
        try:
            hints = typing.get_type_hints(cls, include_extras=True)
        except Exception as error:
            raise AnnotationError(f"the fields of {cls.__name__} cannot be resolved: {_said(error)}") from None
        if is_dataclass(cls):
            if any(isinstance(hint, InitVar) for hint in hints.values()):
                raise AnnotationError(f"{cls.__name__} has an InitVar, which is no field of a JSON object")
            taken = [each for each in fields(cls) if each.init]
            required = [each.name for each in taken if each.default is MISSING and each.default_factory is MISSING]
            hints = {each.name: hints[each.name] for each in taken}
        else:
            required = [name for name, hint in hints.items() if _is_required(cls, name, hint)]
        for name, hint in hints.items():
            marked = typing.get_origin(hint) in (typing.Required, typing.NotRequired)
            try:
                record.fields[name] = self._type(typing.get_args(hint)[0] if marked else hint)
            except AnnotationError as error:
                raise AnnotationError(f"field {name} of {cls.__name__}: {error}") from None
        record.required = tuple(required)

    def _free_name(self, cls: type) -> str:
        taken = {record.name for record in self._records.values()}
        name, number = cls.__name__, 2
        while name in taken:
            name, number = f"{cls.__name__}_{number}", number + 1
        return name


def _annotations(method: Callable[..., Any]) -> Mapping[str, Any]:
    """As written: texts, or types. A name that is not there yet stays a name."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415

        return annotationlib.get_annotations(method, format=annotationlib.Format.FORWARDREF)
    return getattr(method, "__annotations__", {})


def _resolve(written: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    holder = SimpleNamespace(__annotations__=written)
    try:
        return typing.get_type_hints(holder, globalns=names, include_extras=True)
    except Exception as error:
        text = next(iter(written.values()))
        raise AnnotationError(f"the annotation {_name(text)} cannot be resolved: {_said(error)}") from None


def _is_required(cls: type, name: str, hint: Any) -> bool:
    # With annotations as texts, Python puts NotRequired fields among the required keys.
    origin = typing.get_origin(hint)
    if origin in (typing.Required, typing.NotRequired):
        return origin is typing.Required
    required: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
    return name in required


def _name(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
