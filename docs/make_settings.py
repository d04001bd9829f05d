"""Writes docs/settings.md from the services' settings classes: ``python -m docs.make_settings``."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gridledger.settings import ENVIRONMENT_PREFIX, ServiceSettings
from services.anchor.settings import AnchorSettings
from services.ca.settings import CASettings
from services.case.serving.settings import DeskSettings
from services.console.settings import ConsoleSettings
from services.lightnode.settings import LightNodeSettings
from services.orderer.settings import OrdererSettings
from services.peer.settings import PeerSettings
from services.relay.settings import RelaySettings
from services.relay.simulator.settings import SimulatorSettings
from services.rest.settings import RestSettings
from services.vault.base.settings import BaseSettings
from services.vault.settings import HolderSettings

PAGE = Path(__file__).with_name("settings.md")
SERVICES: dict[str, type[ServiceSettings]] = {
    "anchor": AnchorSettings,
    "ca": CASettings,
    "case-desk": DeskSettings,
    "console": ConsoleSettings,
    "lightnode": LightNodeSettings,
    "orderer": OrdererSettings,
    "peer": PeerSettings,
    "relay": RelaySettings,
    "relay-simulator": SimulatorSettings,
    "rest": RestSettings,
    "vault-base": BaseSettings,
    "vault-holder": HolderSettings,
}
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
_BEGIN = f"""# Settings

<!-- Made by `make reference` from services/*/settings.py; change those, not this. -->

A service is started with `--config FILE`, one JSON object. Each member can be given by the environment instead, which
comes first: `{ENVIRONMENT_PREFIX}` and the name in capitals, two underscores into a part, lists and objects as JSON.
The names are the same for local processes and for containers. A member that does not exist is refused. Relative paths
start at the folder of the file. What has no default must be given; `gridledger up` and `gridledger bootstrap` write
these files, with what the network config has under a node's `settings` (docs/network.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_BEGIN, *(_service(name, settings) for name, settings in SERVICES.items())])


def _service(name: str, settings: type[ServiceSettings]) -> str:
    lines = [f"## {name}", "", _prose(settings), "", *_table(settings, ())]
    for field, part in _parts(settings):
        lines += ["", f"### {name}: `{field}`", "", _prose(part), "", *_table(part, (field,))]
    return "\n".join(lines) + "\n"


def _table(settings: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    parts = dict(_parts(settings))
    yield "| member | what | default | environment |"
    yield "|---|---|---|---|"
    for name, field in settings.model_fields.items():
        if name not in parts:
            variable = ENVIRONMENT_PREFIX + "__".join((*path, name)).upper()
            yield f"| `{name}` | {_kind(field.annotation, field)} | {_default(field)} | `{variable}` |"


def _parts(settings: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in settings.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def _kind(annotation: Any, field: FieldInfo | None = None) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(item) for item in inner if item is not types.NoneType)
    if origin is dict:
        return f"{_kind(inner[1])} by name"
    if origin in (list, tuple):
        return f"list of {_kind(inner[0])}"
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _kind(inner[0])
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "{" + ", ".join(f"`{name}`" for name in annotation.model_fields) + "}"
    return _PLAIN[annotation] + "".join(_bounds(field))


def _bounds(field: FieldInfo | None) -> Iterator[str]:
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}
    for constraint in field.metadata if field is not None else ():
        for attribute, word in words.items():
            if (bound := getattr(constraint, attribute, None)) is not None:
                yield f", {word} {bound}"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "must be given"
    if field.default is None:
        return "none"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(value, default=str)}`"


def _prose(kind: type[BaseModel]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page())
