"""The simulated relay's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from gridledger.settings import Count, Port, ServiceSettings, SettingsPart
from services.relay.simulator.misbehaviour import Kind

SECONDS_IN_MINUTE = 60
Line = Annotated[str, Field(min_length=1, max_length=128)]


class UtcOffset(SettingsPart):
    """From a UTC epoch minute on the relay's clock shows UTC and ``offset_min`` minutes."""

    from_minute: Annotated[int, Field(ge=0)] = 0
    offset_min: Annotated[int, Field(ge=-14 * 60, le=14 * 60)]


class SimulatorSettings(ServiceSettings):
    """What the simulated relay is told.

    ``relay`` and ``substation`` stand in its captures. Its clock runs ``60 / minute_s`` times as fast as the real one
    from a time in the past, ``minutes`` minutes of its own before the present, which it reaches and then keeps to;
    ``start_minute`` (UTC epoch minute) is another beginning. It shows UTC, or is ahead by ``utc_offsets``. A reading is
    taken every ``interval_s`` seconds of this clock. The same ``seed`` gives the same captures in the same minutes;
    without one it is drawn once for a ``data`` folder. ``physical``: P and Q follow from voltage, current and power
    factor, and are not drawn. ``misbehave``: what it does wrong from its first minute on.
    ``modbus_port`` and ``iec61850_port``: where it speaks Modbus TCP and MMS too.

    ``connection``, ``identities``, ``companions``, ``tls`` and ``hostnames``, which every companion's settings may
    have, are not used: a relay has no identity.
    """

    relay: Line = "Relay 1"
    substation: Line = "Bogotá Electrical Substation - U.D."
    minute_s: Annotated[float, Field(gt=0, le=SECONDS_IN_MINUTE)] = 60.0
    minutes: Count = 1440
    start_minute: Count | None = None
    interval_s: Annotated[int, Field(ge=1, le=SECONDS_IN_MINUTE)] = 10
    utc_offsets: tuple[UtcOffset, ...] = ()
    seed: int | None = None
    physical: bool = False
    misbehave: Kind | None = None
    modbus_port: Port | None = None
    iec61850_port: Port | None = None
    connection: Path | None = None
    identities: dict[str, Path] = Field(default={})
    companions: dict[str, str] = Field(default={})
    tls: dict[str, str] | None = None
    hostnames: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if SECONDS_IN_MINUTE % self.interval_s:
            raise ValueError(f"interval_s {self.interval_s} does not divide a minute")
        begins = [offset.from_minute for offset in self.utc_offsets]
        if begins[:1] not in ([], [0]) or begins != sorted(set(begins)):
            raise ValueError("utc_offsets must ascend by from_minute, the first from 0")
        return self
