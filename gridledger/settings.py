"""A service's settings: one JSON file, any member of which the environment may override.

The environment's names are the members' in capitals behind ``GRIDLEDGER_``; two underscores lead into a part:
``GRIDLEDGER_PORT=7050``, ``GRIDLEDGER_RAFT__TICK_S=0.05``. Relative paths start at the folder of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gridledger import jsontext
from gridledger.errors import GridLedgerError, SettingsError

ENVIRONMENT_PREFIX = "GRIDLEDGER_"


def _within_64_bits(value: Any) -> Any:
    if isinstance(value, float) and abs(value) >= 2.0**63:  # JSON's reader has rounded it
        raise ValueError("must be a whole number within 64 bits")
    return value


Count = Annotated[int, BeforeValidator(_within_64_bits), Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(gt=0, lt=65536)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$")]
"""A name of an organisation, a node, a channel or a network."""


class SettingsPart(BaseModel):
    """Settings that belong together, one member of a settings file. Unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceSettings(BaseSettings):
    """Base of a service's settings: what every service is told.

    ``name`` is the node's, ``host`` and ``port`` where it listens, ``data`` the folder that is its own.
    ``metrics_readers`` may read the metrics beside admins: ``MSPID/NAME``, the name in the certificate; at the REST
    bridge the names of its clients. Unknown members are refused, so that a slip of the pen is not a default.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    name: str
    host: str = "127.0.0.1"
    port: Port
    data: Path
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_readers: tuple[str, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file."""
        return env_settings, init_settings


_Settings = TypeVar("_Settings", bound=ServiceSettings)


def load_settings(kind: type[_Settings], path: Path) -> _Settings:
    """Read a settings file; :class:`SettingsError` names each member that is wrong."""
    try:
        members = jsontext.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except GridLedgerError as error:
        raise SettingsError(f"the settings file {path} is {error.message}") from None
    if not isinstance(members, dict):
        raise SettingsError(f"the settings file {path} must hold one JSON object")
    try:
        settings = kind(**members)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise SettingsError(f"the settings of {path} and {ENVIRONMENT_PREFIX}* cannot be used: {faults}") from None
    return _anchored(settings, path.resolve().parent)


_Part = TypeVar("_Part", bound=BaseModel)


def _anchored(part: _Part, folder: Path) -> _Part:
    """The same settings with every relative path, in parts, lists and maps of them too, starting at ``folder``."""
    members = {name: getattr(part, name) for name in type(part).model_fields}
    return part.model_copy(update={name: _anchored_value(value, folder) for name, value in members.items()})


def _anchored_value(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, BaseModel):
        return _anchored(value, folder)
    if isinstance(value, dict):
        return {name: _anchored_value(item, folder) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_anchored_value(item, folder) for item in value)
    return value
