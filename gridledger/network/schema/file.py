"""Reads a network config's file, strictly; what is wrong is told as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gridledger.errors import SettingsError
from gridledger.network.schema.network import NetworkConfig
from gridledger.yaml_file import UNREADABLE


def load_network_config(path: Path) -> NetworkConfig:
    """Read a network-config file; :class:`SettingsError` names each thing that is wrong."""
    try:
        members = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise SettingsError(f"cannot read the network config {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the network config {path} is not YAML: {_place_and_problem(error)}") from None
    except RecursionError:
        raise SettingsError(f"the network config {path} cannot be read: it is nested too deeply") from None
    except UNREADABLE as error:
        raise SettingsError(f"the network config {path} has a value that cannot be read: {error!s:.200}") from None
    try:
        config = NetworkConfig.model_validate(members)
        config.check_new()
    except ValidationError as error:
        faults = "; ".join(_fault(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors())
        raise SettingsError(f"the network config {path} cannot be used: {faults}") from None
    except ValueError as error:
        raise SettingsError(f"the network config {path} cannot be used: {error}") from None
    return config


def _place_and_problem(error: Exception) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


def _fault(member: str, message: str) -> str:
    said = message.removeprefix("Value error, ")
    return f"{member}: {said}" if member else said


class _StrictLoader(yaml.SafeLoader):
    """Refuses a member that comes twice, of which YAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """One mapping."""
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := sorted({str(name) for name in names if names.count(name) > 1}):
            said = f"{', '.join(twice)} comes twice in one mapping"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return super().construct_mapping(node, deep)
