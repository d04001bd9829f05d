"""CFG-3 (tables 10 and 11): names of any length, scales and offsets, the place of a PMU, and several frames for one.

A configuration that is longer than a frame is cut into fragments, each with a continuation index: 0 is the only one, 1
the first, 65535 the last. The standard does not say where to cut; :class:`Cfg3Assembler` takes a cut at any byte.
"""

from __future__ import annotations

import struct
from typing import Final

from gridledger.field.c37118.config import (
    MAX_PMUS,
    AnalogChannel,
    Configuration,
    DigitalChannel,
    Format,
    PhasorChannel,
    Place,
    PmuConfig,
    channel_names,
    check_configuration,
    fnom_of,
    names_of,
    nominal_hz,
    split_names,
    take_count,
)
from gridledger.field.c37118.fields import Fields
from gridledger.field.c37118.frame import (
    CHK_BYTES,
    HEAD,
    MAX_FRAME,
    FrameError,
    FrameType,
    Head,
    put_frame,
    read_head,
)

MAX_CFG3_BYTES: Final = 4 * 1024 * 1024
"""Of all fragments of a configuration."""
_ONLY, _FIRST, _LAST = 0, 1, 0xFFFF
_INDEX_BYTES: Final = 2
_MOST_IN_FRAGMENT: Final = MAX_FRAME - HEAD.size - _INDEX_BYTES - CHK_BYTES
_TIME_BASE: Final = 0xFFFFFF
_CURRENT: Final = 0x08
_COMPONENT: Final = 0x07
_GLOBAL_ID_BYTES: Final = 16
_MAX_NAME: Final = 255


class Cfg3Assembler:
    """Puts the fragments of one stream's CFG-3 together. Memory: at most :data:`MAX_CFG3_BYTES`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, frame: bytes) -> Configuration | None:
        """The configuration, where this frame completes it.

        Raises :class:`FrameError` for a fragment that does not follow the one before; what was collected is dropped.
        """
        head = read_head(frame)
        if head.kind is not FrameType.CFG3:
            raise FrameError("sync", f"a frame of type {head.kind.name} is no CFG-3")
        fields = Fields(frame[HEAD.size : -CHK_BYTES])
        index = fields.take("cont_idx", ">H")
        part = frame[HEAD.size + _INDEX_BYTES : -CHK_BYTES]
        if index in (_ONLY, _FIRST):
            self.clear()
        elif not self._parts or index not in (len(self._parts) + 1, _LAST):
            expected = len(self._parts) + 1
            self.clear()
            raise FrameError("cont_idx", f"the fragment {index} came where {expected} was expected")
        if self._bytes + len(part) > MAX_CFG3_BYTES:
            self.clear()
            raise FrameError("size", f"the fragments are longer than {MAX_CFG3_BYTES} bytes")
        self._parts.append(part)
        self._bytes += len(part)
        if index not in (_ONLY, _LAST):
            return None
        whole = b"".join(self._parts)
        self.clear()
        return _configuration(head, whole)

    def clear(self) -> None:
        """Forget the fragments so far."""
        self._parts, self._bytes = [], 0


def decode_cfg3(frame: bytes) -> Configuration:
    """CFG-3 in one frame. Raises :class:`FrameError`."""
    config = Cfg3Assembler().add(frame)
    if config is None:
        raise FrameError("cont_idx", "the frame is the first of several fragments")
    return config


def _configuration(head: Head, body: bytes) -> Configuration:
    fields = Fields(body)
    base, count = fields.take("time_base", ">I"), fields.take("num_pmu", ">H")
    if count > MAX_PMUS:
        raise FrameError("num_pmu", f"there are {count}; {MAX_PMUS} are the most")
    pmus = tuple(_take_pmu(fields) for _ in range(count))
    rate = fields.take("data_rate", ">h")
    fields.end()
    config = Configuration(
        head.kind, head.idcode, head.time, pmus, rate, base & _TIME_BASE, base >> 24, version=head.version
    )
    check_configuration(config)
    return config


def _take_pmu(fields: Fields) -> PmuConfig:
    station = _take_name(fields, "stn")
    idcode, global_id = fields.take("idcode", ">H"), fields.bytes("g_pmu_id", _GLOBAL_ID_BYTES)
    form = Format.of(fields.take("format", ">H"))
    counts = [take_count(fields, name) for name in ("phnmr", "annmr", "dgnmr")]
    names = [_take_name(fields, "chnam") for _ in range(names_of(counts))]
    phasor_names, analog_names, labels = split_names(names, counts)
    phasors = tuple(_take_phasor(fields, name) for name in phasor_names)
    analogs = tuple(
        AnalogChannel(name, scale=fields.take("anscale", ">f"), offset=fields.take("anscale", ">f"))
        for name in analog_names
    )
    digitals = tuple(
        DigitalChannel(bits, fields.take("digunit", ">H"), fields.take("digunit", ">H")) for bits in labels
    )
    latitude, longitude, elevation = (fields.take(name, ">f") for name in ("pmu_lat", "pmu_lon", "pmu_elev"))
    service = fields.bytes("svc_class", 1).decode("latin-1")
    window, delay = fields.take("window", ">i"), fields.take("grp_dly", ">i")
    fnom, changes = fields.take("fnom", ">H"), fields.take("cfgcnt", ">H")
    place = Place(latitude, longitude, elevation, service, window, delay, global_id)
    return PmuConfig(station, idcode, form, phasors, analogs, digitals, nominal_hz(fnom), changes, place)


def _take_phasor(fields: Fields, name: str) -> PhasorChannel:
    modified, kind, user = fields.take("phscale", ">H"), fields.take("phscale", ">B"), fields.take("phscale", ">B")
    scale, offset = fields.take("phscale", ">f"), fields.take("phscale", ">f")
    return PhasorChannel(name, bool(kind & _CURRENT), 0, scale, offset, modified, kind & _COMPONENT, user)


def _take_name(fields: Fields, field: str) -> str:
    data = fields.bytes(field, fields.take(field, ">B"))
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FrameError(field, f"the name {data[:40]!r} is not UTF-8") from None


def encode_cfg3(config: Configuration, *, fragment_bytes: int = _MOST_IN_FRAGMENT) -> list[bytes]:
    """The frames: one, or fragments of at most ``fragment_bytes`` of the configuration. :class:`FrameError`."""
    if config.kind is not FrameType.CFG3:
        raise FrameError("sync", f"a frame of type {config.kind.name} is no CFG-3")
    check_configuration(config)
    body = b"".join(
        (
            struct.pack(">IH", config.base_flags << 24 | config.time_base, len(config.pmus)),
            *(_put_pmu(pmu) for pmu in config.pmus),
            struct.pack(">h", config.data_rate),
        )
    )
    if not 0 < fragment_bytes <= _MOST_IN_FRAGMENT or len(body) > MAX_CFG3_BYTES:
        raise FrameError("size", f"{len(body)} bytes cannot be sent in fragments of {fragment_bytes}")
    parts = [body[at : at + fragment_bytes] for at in range(0, len(body), fragment_bytes)]
    if len(parts) >= _LAST:
        raise FrameError("cont_idx", f"{len(parts)} fragments are more than a continuation index can count")
    indices = [_ONLY] if len(parts) == 1 else [*range(_FIRST, len(parts)), _LAST]
    return [
        put_frame(FrameType.CFG3, config.version, config.idcode, config.time, index.to_bytes(2, "big") + part)
        for index, part in zip(indices, parts, strict=True)
    ]


def _put_pmu(pmu: PmuConfig) -> bytes:
    place = pmu.place
    if len(place.global_id) != _GLOBAL_ID_BYTES or len(place.service_class.encode("latin-1", "replace")) != 1:
        raise FrameError("g_pmu_id", f"{pmu.station}: a global id has 16 bytes, a service class one character")
    try:
        return b"".join(
            (
                _put_name(pmu.station),
                struct.pack(">H", pmu.idcode),
                place.global_id,
                struct.pack(">4H", pmu.format.word, len(pmu.phasors), len(pmu.analogs), len(pmu.digitals)),
                *(_put_name(name) for name in channel_names(pmu)),
                *(_put_phasor(channel) for channel in pmu.phasors),
                *(struct.pack(">ff", channel.scale, channel.offset) for channel in pmu.analogs),
                *(struct.pack(">HH", channel.normal, channel.valid) for channel in pmu.digitals),
                struct.pack(">fff", place.latitude, place.longitude, place.elevation_m),
                place.service_class.encode("latin-1", "replace"),
                struct.pack(">ii", place.window_us, place.group_delay_us),
                struct.pack(">HH", fnom_of(pmu.nominal_hz), pmu.change_count),
            )
        )
    except (struct.error, OverflowError) as error:
        raise FrameError("pmu", f"{pmu.station}: {error}") from None


def _put_phasor(channel: PhasorChannel) -> bytes:
    kind = channel.is_current << 3 | channel.component & _COMPONENT
    return struct.pack(">HBBff", channel.modified, kind, channel.user, channel.scale, channel.offset_rad)


def _put_name(name: str) -> bytes:
    data = name.encode()
    if len(data) > _MAX_NAME:
        raise FrameError("chnam", f"{name!r:.40} is longer than {_MAX_NAME} bytes of UTF-8")
    return bytes((len(data),)) + data
