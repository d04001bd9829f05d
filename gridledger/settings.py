"""A service's settings: one JSON file, any member of which the environment may override.

The environment's names are the members' in capitals behind ``GRIDLEDGER_``; two underscores lead into a part:
``GRIDLEDGER_PORT=7050``, ``GRIDLEDGER_RAFT__TICK_MS=50``. Relative paths start at the folder of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gridledger import jsontext
from gridledger.errors import GridLedgerError, SettingsError

ENVIRONMENT_PREFIX = "GRIDLEDGER_"


class SettingsPart(BaseModel):
    """Settings that belong together, one member of a settings file. Unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceSettings(BaseSettings):
    """Base of a service's settings. Unknown members are refused, so that a slip of the pen is not a default."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

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
    return settings.model_copy(update=_anchored(settings, path.resolve().parent))


def _anchored(settings: ServiceSettings, folder: Path) -> dict[str, Any]:
    return {
        name: folder / value
        for name in type(settings).model_fields
        if isinstance(value := getattr(settings, name), Path) and not value.is_absolute()
    }
