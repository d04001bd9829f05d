"""A section for tests of light nodes, in memory: the contract's rules, a network that loses and reorders answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gridledger.client.errors import CommitError, EndorseError, SubmitError
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.evidence import schnorr
from gridledger.evidence.events import BATCH, NO_EVENT, batch_body, event_text, text_hash
from gridledger.protocol.codes import TxValidationCode
from services.lightnode.sending import Logged, LoggedEvent, OnSection, Place


async def inline(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a thread would do, here and now."""
    return call(*arguments)


@dataclass
class FakeDevice:
    """A device as the section has it, and its events as they were sent, each with its transaction."""

    proof_key: str
    status: str = "active"
    events: list[tuple[dict[str, Any], str, str]] = field(default_factory=list)

    @property
    def head(self) -> Place:
        return Place(len(self.events), self.events[-1][1] if self.events else NO_EVENT)


class FakeSection:
    """Calls take time in the event loop. ``chance`` decides what goes wrong, None: nothing does.

    ``lost``: how often an answer does not come, whether or not the transaction takes effect. ``refuses`` is asked of
    each event: a refusal's text, or None.
    """

    def __init__(self, channel: str = "section-plant", chance: Random | None = None, lost: float = 0.2) -> None:
        self.channel = channel
        self.devices: dict[str, FakeDevice] = {}
        self.away = False
        self.transactions = 0
        self.shared = 0
        self.calls = 0
        self.latency_s = 0.02
        self.verifies = True
        self.refuses: Callable[[dict[str, Any]], str | None] = lambda event: None
        self._chance = chance
        self._lost = lost

    def admit(self, device: str, proof_key: str) -> FakeDevice:
        self.devices[device] = FakeDevice(proof_key)
        return self.devices[device]

    async def device(self, device: str) -> OnSection | None:
        await self._travel()
        known = self.devices.get(device)
        return None if known is None else OnSection(known.status, known.proof_key, known.head)

    async def event(self, device: str, seq: int) -> LoggedEvent:
        await self._travel()
        _, sha256, tx = self.devices[device].events[seq - 1]
        return LoggedEvent(sha256, tx, 1)

    async def log(self, device: str, events: Sequence[dict[str, Any]]) -> Logged:
        where = "events[{}]." if len(events) > 1 else ""
        return await self._log({device: ("", where, events)})

    async def log_devices(self, events: Mapping[str, Sequence[dict[str, Any]]]) -> Logged:
        self.shared += 1
        calls = enumerate(events.items())
        return await self._log({d: (f"devices[{i}].", f"devices[{i}].events[{{}}].", told) for i, (d, told) in calls})

    async def _log(self, calls: Mapping[str, tuple[str, str, Sequence[dict[str, Any]]]]) -> Logged:
        await self._travel()
        self.transactions += 1
        tx = f"{self.transactions:064x}"
        before, added = {}, {}
        for device, (prefix, where, events) in calls.items():
            known = self.devices.get(device)
            if known is None:
                raise _refused(tx, f"{prefix}device: {device} is not admitted")
            if known.status != "active":
                raise _refused(tx, f"{prefix}device: {device} is suspended")
            before[device] = known.head
            added[device] = self._checked(known, device, [_as_event(event) for event in events], tx, where)
        await self._travel()  # endorsed; now it is ordered
        if any(self.devices[device].head != head for device, head in before.items()):
            raise CommitError(tx, TxValidationCode.MVCC_READ_CONFLICT, 1)
        for device, told in added.items():
            self.devices[device].events += told
        try:
            await self._travel()
        except GridLedgerError as error:
            raise SubmitError(tx, error) from error
        return Logged(tx, self.transactions)

    def _checked(
        self, known: FakeDevice, device: str, events: list[dict[str, Any]], tx: str, place: str
    ) -> list[tuple[dict[str, Any], str, str]]:
        head, added = known.head, []
        for number, event in enumerate(events):
            where = place.format(number)
            if (event["seq"], event["prev"]) != (head.seq + 1, head.sha256):
                raise _refused(tx, f"{where}seq: {event['seq']} of {device} is on the ledger already")
            if (why := self.refuses(event)) is not None:
                raise _refused(tx, where + why)
            text = event_text(
                self.channel,
                device,
                event["seq"],
                event["prev"],
                kind=event["kind"],
                time_us=event["time_us"],
                body_sha256=event["body_hash"] if "body_hash" in event else text_hash(event["body"]),
            )
            public = bytes.fromhex(known.proof_key)
            if self.verifies and not schnorr.verify(public, device, text, schnorr.Proof.of(event["proof"])):
                raise _refused(tx, f"{where}proof: does not hold")
            head = Place(event["seq"], text_hash(text))
            added.append((event, head.sha256, tx))
        return added

    async def _travel(self) -> None:
        self.calls += 1
        chance = self._chance
        await asyncio.sleep(self.latency_s * (1 if chance is None else chance.uniform(0.1, 20)))
        if self.away or (chance is not None and chance.random() < self._lost):
            raise UnavailableError("the network is away")


def _as_event(event: dict[str, Any]) -> dict[str, Any]:
    """A batch as the event that it is in its device's chain; anything else as it is."""
    if "synopsis" not in event:
        return event
    place = {name: event[name] for name in ("seq", "prev", "proof")}
    body = batch_body(**{name: value for name, value in event.items() if name not in place})
    return {**place, "kind": BATCH, "time_us": event["from_us"], "body": body}


def _refused(tx: str, message: str) -> EndorseError:
    return EndorseError(tx, GridLedgerError(message, code="CHAINCODE_REFUSED", status=400))
