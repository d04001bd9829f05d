"""The settings of a light node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridledger.settings import Count, Name, Port, Seconds, ServiceSettings, SettingsPart

DeviceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
DeviceType = Literal[
    "pmu", "ied", "pdc", "meter", "charger", "rtu", "relay", "inverter", "recorder", "operator-station", "weather"
]
Told = Annotated[str, Field(min_length=1, max_length=128)]
_MIB = 1024 * 1024


class LightNodeTLS(SettingsPart):
    """The certificate and the key (PEM) that the process shows."""

    cert: Path
    key: Path


class FolderSource(SettingsPart):
    """Events in files: each line of a file ``*.jsonl`` that is moved into ``folder`` is an event as POST /events takes
    one, without ``device``. Files that were read lie in ``done`` below it, lines that are no events in ``refused``."""

    kind: Literal["folder"]
    folder: Path
    every_s: Seconds = 1.0


class WatchedRegister(SettingsPart):
    """A register or coil whose changes are events of ``event``, under the name ``name``.

    A register's value is read as a whole number, signed if ``signed``, and multiplied by ``scale``. A change of less
    than ``deadband`` from the value that was told last is none.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    table: Literal["coil", "discrete", "holding", "input"]
    address: Annotated[int, Field(ge=0, le=65535)]
    event: Annotated[str, Field(max_length=16)] = "alarm"
    signed: bool = False
    scale: float = 1.0
    deadband: Annotated[float, Field(ge=0)] = 0.0


class ModbusSource(SettingsPart):
    """Events from a device that speaks Modbus TCP: ``registers`` are read every ``every_s``."""

    kind: Literal["modbus"]
    host: str
    port: Port = 502
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    every_s: Seconds = 1.0
    answer_s: Seconds = 3.0
    registers: tuple[WatchedRegister, ...] = Field(min_length=1, max_length=256)


class PmuSource(SettingsPart):
    """Events from a PMU by C37.118.2 over TCP: the frequency every ``every_s``, and alarms.

    Alarms: the frequency leaves ``nominal_hz`` by more than ``deviation_hz``, its rate of change exceeds
    ``rocof_hz_per_s``, the PMU's trigger, a clock that is not synchronised, data that are bad or do not come for
    ``silent_s``. ``batches``: the rows go into Parquet files of ``batch_s``, whose roots and synopses the ledger gets;
    then no frequency events are told. That needs the extra ``forensics``.
    """

    kind: Literal["pmu"]
    host: str
    port: Port = 4712
    idcode: Annotated[int, Field(ge=1, le=65534)] = 1
    nominal_hz: Literal[50, 60] = 50
    every_s: Seconds = 1.0
    deviation_hz: Annotated[float, Field(gt=0)] = 0.2
    rocof_hz_per_s: Annotated[float, Field(gt=0)] = 1.0
    silent_s: Seconds = 5.0
    batches: bool = False
    batch_s: Annotated[int, Field(ge=1, le=3600)] = 60


Source = Annotated[FolderSource | ModbusSource | PmuSource, Field(discriminator="kind")]


class LightNodeDevice(SettingsPart):
    """A device of the node: ``section`` is the channel that its events go to, ``type`` what it is in the registry.

    ``kinds`` are the kinds of events that it may tell; none: those that its type usually tells. ``sources`` are read
    beside what is posted. ``readers`` are X25519 keys in base64, to which bodies that stay off the ledger are sealed.
    """

    device: DeviceName
    section: Name
    type: DeviceType
    site: Told = "unknown"
    vendor: Told = "unknown"
    model: Told = "unknown"
    kinds: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(default=(), max_length=8)
    readers: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=16)


class RecorderSettings(SettingsPart):
    """The flight recorder.

    ``max_bytes`` bounds its ring, ``segment_bytes`` one file of it, ``max_waiting`` the events of one device that wait
    for the ledger, ``max_body_bytes`` the bodies that stay off the ledger. ``group_s``: how long an event of a kind
    that is not critical waits for others to be flushed with.
    """

    max_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 256 * _MIB
    segment_bytes: Annotated[int, Field(ge=1 << 16, le=1 << 30)] = 4 * _MIB
    max_waiting: Count = 100_000
    max_body_bytes: Count = 1 << 30
    group_s: Annotated[float, Field(ge=0, le=1)] = 0.05

    @model_validator(mode="after")
    def _has_several_files(self) -> Self:
        if self.segment_bytes * 4 > self.max_bytes:
            raise ValueError("segment_bytes: the ring has at least four files; make it a quarter of max_bytes or less")
        return self


class ForwarderSettings(SettingsPart):
    """How events get to the ledger: at most ``rate`` transactions a second, ``at_once`` of them under way."""

    rate: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    at_once: Annotated[int, Field(gt=0, le=256)] = 16


class LightNodeLimits(SettingsPart):
    """Bounds of the process, shared by its callers."""

    max_requests: Count = 256
    max_body_bytes: Count = 64 * 1024


class LightNodeSettings(ServiceSettings):
    """What a light node is told.

    ``connection`` is the network's connection profile. ``identities``: the folder of the node's identity
    (``forensics.role=lightnode``), which brings its devices' events to the ledger. ``own_peer`` is asked first
    (default: any of its organisation). ``devices`` are those that it speaks for. ``keep_proofs``: ask for the proof of
    each of its own events as soon as the ledger has it, and keep it. ``filter_every_s``: how often the registry's
    filter is asked for. ``body_readers``: other organisations (MSP ids) whose members may read bodies that stay off the
    ledger, such as the authority for its packages; its own may always. ``companions``, the processes of the same
    application by name, are not used.
    """

    connection: Path
    identities: dict[str, Path] = Field(min_length=1, max_length=1)
    own_peer: str | None = None
    devices: tuple[LightNodeDevice, ...] = Field(default=(), max_length=10_000)
    recorder: RecorderSettings = RecorderSettings()
    forwarder: ForwarderSettings = ForwarderSettings()
    keep_proofs: bool = True
    filter_every_s: Seconds = 60.0
    body_readers: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] = Field(default=(), max_length=64)
    limits: LightNodeLimits = LightNodeLimits()
    companions: dict[str, str] = Field(default={}, max_length=1000)
    tls: LightNodeTLS | None = None
    hostnames: tuple[str, ...] = ()

    @property
    def identity(self) -> Path:
        """The folder of the node's identity."""
        return next(iter(self.identities.values()))

    @property
    def certificate_and_key(self) -> tuple[Path, Path]:
        """What the process shows: ``tls``, else those of its identity."""
        if self.tls is not None:
            return self.tls.cert, self.tls.key
        return self.identity / "cert.pem", self.identity / "key.pem"

    @model_validator(mode="after")
    def _names_each_device_once(self) -> Self:
        names = [device.device for device in self.devices]
        if twice := sorted({name for name in names if names.count(name) > 1})[:5]:
            raise ValueError(f"devices: named twice: {', '.join(twice)}")
        return self
