"""What comes from devices becomes events: each is checked as the contract will check it, before it is recorded."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError, SettingsError
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.events import KINDS, PRIVATE_KINDS, SALT_BYTES
from gridledger.evidence.sealed_body import reader_key, seal_body
from services.lightnode.device_types import kinds_of
from services.lightnode.errors import DeviceUnknown, EventRefused
from services.lightnode.journal import event_identity
from services.lightnode.recorder.bodies import Body
from services.lightnode.recorder.records import MAX_BODY_BYTES, Entry
from services.lightnode.settings import LightNodeDevice

MAX_TIME_US: Final = 10**16 - 1
_MEMBERS: Final = frozenset(("device", "kind", "time_us", "body"))


class Intake:
    """The devices of a node, and what may be said of them."""

    def __init__(
        self,
        devices: tuple[LightNodeDevice, ...],
        now_us: Callable[[], int],
        randbytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Raises :class:`SettingsError` for a kind or a reader's key that is none."""
        self._devices = {device.device: device for device in devices}
        self._now_us = now_us
        self._randbytes = randbytes
        self._kinds = {device.device: kinds_of(device.type, device.kinds) for device in devices}
        try:
            self._readers = {device.device: [reader_key(text) for text in device.readers] for device in devices}
        except EvidenceError as error:
            raise SettingsError(f"devices: readers: {error.message}") from None
        for device in devices:
            if unknown := sorted({*device.kinds} - {*KINDS}):
                raise SettingsError(f"devices: {device.device}: kinds: there is no kind {', '.join(unknown)}")

    def device(self, name: str) -> LightNodeDevice:
        """A device by its name; :class:`DeviceUnknown`."""
        found = self._devices.get(name)
        if found is None:
            raise DeviceUnknown(f"this light node has no device {name!r:.80}")
        return found

    def event(self, told: Any, device: str | None = None) -> tuple[Entry, Body | None, bytes]:
        """An event as it was sent, {device, kind, time_us?, body?}: what is recorded, the body that stays off the
        ledger, and what names the event when it is sent again. Raises :class:`EventRefused` and others.

        ``time_us`` is that of the device; without it the node's clock is taken. ``body`` is an object, or the text of
        one. ``device``: whose event it is, where the sender does not say.
        """
        if not isinstance(told, dict) or not told.keys() <= _MEMBERS:
            raise EventRefused("event", f"must be an object of {', '.join(sorted(_MEMBERS))}")
        name = told.get("device", device)
        if not isinstance(name, str):
            raise EventRefused("device", "must be the device's name")
        found = self.device(name)
        kind = self._kind(found, told.get("kind"))
        time_us = self._time(told)
        text = _text(told.get("body", {}))
        identity = event_identity(name, kind, time_us, text)
        if "time_us" not in told:
            identity += self._randbytes(SALT_BYTES)  # nothing tells two of them apart
        if kind not in PRIVATE_KINDS:
            return Entry(name, kind, time_us, text), None, identity
        body = Body(self._randbytes(SALT_BYTES), text)
        return Entry(name, kind, time_us, None, body.sha256, self._sealed(found, body)), body, identity

    def _kind(self, device: LightNodeDevice, kind: Any) -> str:
        if not isinstance(kind, str) or kind not in KINDS:
            raise EventRefused("kind", f"must be one of {', '.join(KINDS)}")
        if kind not in self._kinds[device.device]:
            told = ", ".join(sorted(self._kinds[device.device] - {"batch"}))
            raise EventRefused("kind", f"{device.device} ({device.type}) tells {told}; see its setting kinds")
        return kind

    def _time(self, told: Mapping[str, Any]) -> int:
        if "time_us" not in told:
            return self._now_us()
        time_us = told["time_us"]
        if type(time_us) is not int or not 0 <= time_us <= MAX_TIME_US:
            raise EventRefused("time_us", f"must be whole microseconds since 1970, 0 to {MAX_TIME_US}")
        return time_us

    def _sealed(self, device: LightNodeDevice, body: Body) -> str | None:
        readers = self._readers[device.device]
        if not readers:
            return None
        try:
            return seal_body(readers, device.section, device.device, body.salt, body.text)
        except EvidenceError as error:
            raise EventRefused("body", error.message.removeprefix("body: ")) from None


def _text(body: Any) -> str:
    """A body's text: as it was sent where it is a text, else the one text of the object."""
    try:
        if isinstance(body, str):
            text = body
            body = jsontext.loads(body)
        else:
            text = jsontext.dumps(body).decode()
        if not isinstance(body, dict):
            raise InputError("it is no object")
    except GridLedgerError as error:
        raise EventRefused("body", f"must be an object, or the JSON text of one: {error.message}") from None
    if len(text.encode()) > MAX_BODY_BYTES:
        raise EventRefused("body", f"has {len(text.encode())} bytes; the ledger takes {MAX_BODY_BYTES}")
    return text
