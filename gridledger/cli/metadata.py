"""What a chaincode's metadata (Fabric's GetMetadata) say of its functions. They come from outside: what cannot be read
counts as not declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridledger.cli.arguments import JSON_TYPES, Types

if TYPE_CHECKING:
    from gridledger.client import Contract


@dataclass(frozen=True, slots=True)
class DescribedParameter:
    """A parameter: its name, the JSON types that it takes, and its type as a person reads it."""

    name: str
    types: Types
    shown: str
    required: bool = True
    repeated: bool = False

    def __str__(self) -> str:
        """As in ``*marks: string`` or ``[limit: integer]``."""
        text = f"{self.name}: {self.shown}"
        if self.repeated:
            return f"*{text}"
        return text if self.required else f"[{text}]"


@dataclass(frozen=True, slots=True)
class DescribedFunction:
    """A function: ``readonly`` where it is meant to be evaluated."""

    name: str
    parameters: tuple[DescribedParameter, ...]
    returns: str
    readonly: bool
    description: str

    def types(self, count: int) -> list[Types]:
        """The types of the first ``count`` arguments."""
        found = [parameter.types for parameter in self.parameters]
        if self.parameters and self.parameters[-1].repeated:
            found += [self.parameters[-1].types] * (count - len(found))
        return found[:count]


async def read_metadata(contract: Contract) -> Any:
    """A chaincode's metadata; None where it has none (it was packed before there were metadata)."""
    from gridledger.client import EndorseError  # noqa: PLC0415
    from gridledger.contract.metadata import GET_METADATA  # noqa: PLC0415

    try:
        return await contract.evaluate_transaction(GET_METADATA)
    except EndorseError as error:
        if error.code != "CHAINCODE_REFUSED":
            raise
        return None


def functions_of(metadata: Any) -> dict[str, DescribedFunction]:
    """The functions of all contracts by name."""
    functions: dict[str, DescribedFunction] = {}
    for contract in _member(metadata, "contracts", dict).values():
        for transaction in _member(contract, "transactions", list):
            name = _member(transaction, "name", str)
            if name:
                functions.setdefault(name, _function(name, transaction))
    return functions


def _function(name: str, transaction: Any) -> DescribedFunction:
    return DescribedFunction(
        name=name,
        parameters=tuple(map(_parameter, _member(transaction, "parameters", list))),
        returns=_shown(_member(transaction, "returns", dict)),
        readonly="evaluate" in _member(transaction, "tag", list),
        description=_member(transaction, "description", str),
    )


def _parameter(parameter: Any) -> DescribedParameter:
    schema = _member(parameter, "schema", dict)
    return DescribedParameter(
        name=_member(parameter, "name", str) or "?",
        types=_types(schema),
        shown=_shown(schema),
        required=not isinstance(parameter, dict) or parameter.get("required") is not False,
        repeated=isinstance(parameter, dict) and parameter.get("repeated") is True,
    )


def _types(schema: Mapping[str, Any]) -> Types:
    """The JSON types that a schema takes; None where it does not say."""
    match schema:
        case {"type": str(name)}:
            return frozenset((name,))
        case {"$ref": str()}:
            return frozenset(("object",))
        case {"enum": list(values)} if values:
            return frozenset().union(*(JSON_TYPES[type(value)] for value in values))
        case {"anyOf": list(choices)} if choices:
            found = [_types(each) if isinstance(each, dict) else None for each in choices]
            known = [each for each in found if each is not None]
            return frozenset().union(*known) if len(known) == len(found) else None
    return None


def _shown(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: ``integer``, ``array of Reading``, ``string or null``."""
    match schema:
        case {"$ref": str(name)}:
            return name.rpartition("/")[2]
        case {"type": "array", "items": dict(items)} if items:
            return f"array of {_shown(items)}"
        case {"type": "object", "additionalProperties": dict(values)} if values:
            return f"object of {_shown(values)}"
        case {"type": str(name)}:
            return name
        case {"enum": list(values)} if values:
            return " or ".join(map(repr, values))
        case {"anyOf": list(choices)} if choices:
            return " or ".join(_shown(each) if isinstance(each, dict) else "any" for each in choices)
    return "any"


def _member(value: Any, name: str, kind: type) -> Any:
    """A member of an object, or the empty value of its kind where there is none of this kind."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, kind) else kind()
