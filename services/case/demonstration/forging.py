"""Somebody with a light node's certificate, and no device's key, says events in devices' names."""

from __future__ import annotations

from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final

from gridledger import jsontext
from gridledger.client.application import ContractCalls, network_through, peers_of
from gridledger.demonstration.steps import Steps
from gridledger.errors import GridLedgerError
from gridledger.evidence import schnorr
from gridledger.evidence.events import event_text
from gridledger.network.users import enroll_user
from services.case.attributes import ROLE
from services.case.demonstration.stage import RealClock, Stage
from services.case.described import described_forensics

VICTIM: Final = "breaker-kyiv-01"
"""In whose name the forged event is said."""
_SECTION, _ORGANISATION = "section-transmission", "Kyiv"
_SECRET: Final = 0x5EC2E7
"""The forger's key: any but the device's."""


class _Forger(ContractCalls):
    async def log_event(self, event: dict[str, Any]) -> Any:
        """LogEvent."""
        return await self._submit("LogEvent", event)

    async def head(self, device: str) -> dict[str, Any]:
        """Where the device's chain ends."""
        record = await self._evaluate("GetDevice", {"device": device})
        head: dict[str, Any] = record["head"]
        return head

    async def event(self, device: str, seq: int) -> dict[str, Any]:
        """An event that stands on the ledger."""
        return await self._evaluate("GetEvent", {"device": device, "seq": seq})


async def forge(stage: Stage, steps: Steps) -> None:
    """An event whose proof is by another key, and one that repeats a true event's place: both are refused by name."""
    profile = stage.profile
    thief = await enroll_user(profile, _ORGANISATION, "forger", "client", {ROLE: "lightnode"})
    place = described_forensics(profile).section(_SECTION)
    async with network_through(profile, _SECTION, peers_of(profile, _SECTION, thief.mspid), thief) as network:
        forger = _Forger(network.get_contract(place.chaincode), network)
        head = await forger.head(VICTIM)
        body = jsontext.dumps({"command": "open", "result": "done"}).decode()
        forged = _event(head["seq"] + 1, head["sha256"], body)
        await _refused(steps, "an event whose proof is by another key", "proof", forger.log_event(forged))
        first = await forger.event(VICTIM, 1)
        again = _event(1, first["prev"], body)
        await _refused(steps, "an event in the place of one that stands there", "seq", forger.log_event(again))
        after = await forger.head(VICTIM)
    steps.expect(f"the chain of {VICTIM} is what it was", after == head, f"{head['seq']} events")


def _event(seq: int, prev: str, body: str) -> dict[str, Any]:

    now_us = RealClock().now_us()
    digest = sha256(body.encode()).hexdigest()
    text = event_text(_SECTION, VICTIM, seq, prev, kind="command", time_us=now_us, body_sha256=digest)
    proof = schnorr.prove(_SECRET, VICTIM, text, randbytes=token_bytes)
    event = {"device": VICTIM, "seq": seq, "prev": prev, "kind": "command", "time_us": now_us, "body": body}
    return {**event, "proof": proof.text}


async def _refused(steps: Steps, what: str, field: str, work: Any) -> None:
    try:
        await work
    except GridLedgerError as error:
        steps.expect(f"{what} is refused by name", f"{field}:" in error.message, error.message)
    else:
        steps.expect(f"{what} is refused by name", False, "it was taken")
