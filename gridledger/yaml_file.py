"""Files in YAML that people write: bounded, without aliases, and with the line of each member for what is wrong in it.

Every fault is one :class:`InputError` of one line: the file, the member and its line, why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from gridledger.errors import InputError
from gridledger.form_faults import plain_fault

_DEEPEST: Final = 8
_DEEPEST_PARSED: Final = 64
"""Beyond this no file is parsed: the time that each further level takes grows with the levels."""
UNREADABLE: Final = (ValueError, ArithmeticError, LookupError, AttributeError)
"""What PyYAML raises beside its own errors: for a date that is none, ``!!bool maybe``, thousands of digits."""
_Form = TypeVar("_Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The mapping that a file holds, and the line (from 1) of each of its members by its path, ``servers.0.id``."""

    members: dict[str, Any]
    lines: Mapping[str, int]

    def line_of(self, member: str) -> int | None:
        """The line of a member, or of the nearest one around it that the file has."""
        parts = member.split(".")
        known = (self.lines.get(".".join(parts[:count])) for count in range(len(parts), 0, -1))
        return next(filter(None, known), None)

    def fault(self, member: str, why: str) -> InputError:
        """The error that tells what is wrong with a member."""
        line = self.line_of(member)
        return InputError(f"{member}, line {line}: {why}" if line else f"{member}: {why}")

    def check_form(self, form: type[_Form]) -> _Form:
        """The members as ``form``; :class:`InputError` for the first fault."""
        try:
            return form.model_validate(self.members)
        except ValidationError as error:
            raise self._first(error) from None

    def _first(self, error: ValidationError) -> InputError:
        fault = error.errors(include_url=False)[0]
        member = ".".join(str(part) for part in fault["loc"] if part != "[key]")
        why = plain_fault(fault)
        return self.fault(member, why) if member else InputError(why)


def read_text(path: Path, *, what: str, most: int) -> str:
    """The text of a file of at most ``most`` bytes; ``what`` is what such a file is called ("a registration")."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{str(path)!r}: {error}") from None
    if len(data) > most:
        raise InputError(f"{path}: {what} has at most {most} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: bytes: not UTF-8 at byte {error.start}") from None


def parse_yaml(text: str, *, what: str, members: str) -> YamlFile:
    """The members of a text. ``what`` it is ("a registration"), and the names of its first ``members``, for errors."""
    noun = what.rsplit(maxsplit=1)[-1]
    try:
        refuse_excess(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines_of(node, "", 0)) if node is not None else {}
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{where}not YAML: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise InputError(f"no {noun}: nested too deeply") from None
    except UNREADABLE as error:
        why = str(error) if isinstance(error, ValueError) else f"it has a value that cannot be read: {error!s:.200}"
        raise InputError(f"no {noun}: {why}") from None
    if not isinstance(value, dict):
        raise InputError(f"line 1: {what} is a mapping: {members}, ...")
    return YamlFile(value, lines)


def refuse_excess(text: str) -> None:
    """Refuse aliases and deep nesting, before any value is made; :class:`InputError`, or yaml.YAMLError.

    Aliases of aliases make a small file a value without bound; what people write needs none.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{where}*{event.anchor} is an alias: write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST_PARSED:
            raise InputError(f"{where}nested too deeply")


def _lines_of(node: yaml.Node, path: str, depth: int) -> Iterator[tuple[str, int]]:
    """The line (from 1) of every member, by its path."""
    if depth > _DEEPEST:
        raise InputError(f"{path}, line {node.start_mark.line + 1}: nested too deeply")
    children: list[tuple[str, int, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), key.start_mark.line, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(index), item.start_mark.line, item) for index, item in enumerate(node.value)]
    seen: set[str] = set()
    for name, line, child in children:
        where = f"{path}.{name}".lstrip(".")
        if name in seen:
            raise InputError(f"{where}, line {line + 1}: is given twice")
        seen.add(name)
        yield where, line + 1
        yield from _lines_of(child, where, depth + 1)
