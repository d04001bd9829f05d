"""The contract ``relay`` on one channel's state in memory, with an operator and four servers of as many organisations.

The relay's clock is Bogotá's, five hours behind UTC. :data:`MINUTE` is 2026-11-30T02:00Z, told a minute later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.contract import ClientIdentity
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.field.capture import text_hash
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result
from tests.support.captures import SUBSTATION, text

RELAY = Path(__file__).parents[2] / "chaincode" / "relay"
SERVERS = ("5004", "5005", "5006", "5007")
MINUTE = 29_933_400
"""2026-11-30T02:00Z, an hour's first."""
HOUR = MINUTE // 60
OFFSET_MIN = -300
S = 1_000_000
RECORD: dict[str, Any] = {
    "relay": "Rele_1",
    "name": "Relay 1",
    "substation": SUBSTATION,
    "protocol": "text",
    "address": "http://127.0.0.1:5010",
    "utc_offsets": [{"from_minute": 0, "offset_min": OFFSET_MIN}],
    "period_s": 60,
    "reading_s": 10,
    "servers": [{"id": server, "mspid": f"Server{server}MSP"} for server in SERVERS],
    "quorum": 3,
    "limits": {"Vab": [109.0, 118.0], "F": [59.5, 60.5]},
}

FAULT: dict[str, Any] = {
    "relay": "Rele_1",
    "sha256": "ab" * 32,
    "station": "Bogotá",
    "device": "Relay 1",
    "trigger_time": "2026-11-30T02:24:33.000001",
    "samples": 4000,
    "channels": 16,
    "bytes": 123_456,
    "revision_year": 2013,
}
"""What a server states of a COMTRADE record."""


def client(mspid: str, **attributes: str) -> ClientIdentity:
    """A caller; ``relay_role`` stands for the attribute relay.role."""
    return ClientIdentity(
        "x509::/CN=c::/CN=ca", mspid, attributes={k.replace("_", "."): v for k, v in attributes.items()}
    )


OPERATOR = client("OperatorMSP", relay_role="operator")
READER = client("CustomersMSP")


def server(name: str, mspid: str | None = None) -> ClientIdentity:
    """One of the servers."""
    return client(mspid or f"Server{name}MSP", relay_role="server", relay_server=name)


def local(minute: int, offset_min: int = OFFSET_MIN) -> datetime:
    """What the relay's clock shows in a minute of UTC."""
    return datetime(1970, 1, 1) + timedelta(minutes=minute + offset_min)


def told(minute: int, *, seed: int = 0, offset_min: int = OFFSET_MIN, **changes: Any) -> str:
    """What the relay tells of a minute; another ``seed``, another text."""
    return text(local(minute, offset_min), seed=seed, **changes)


def after(minute: int, seconds: float = 0.5, period_s: int = 60) -> int:
    """A time soon after a period is over, microseconds."""
    return int((minute * 60 + period_s + seconds) * S)


def recording(given: str, minute: int | None = None, relay: str = "Rele_1") -> dict[str, Any]:
    """The argument of RecordCapture."""
    argument = {"relay": relay, "text": given, "source": {"protocol": "text", "sha256": text_hash(given)}}
    return argument if minute is None else argument | {"minute": minute}


@cache
def chaincode() -> Chaincode:
    """The contract, imported once."""
    return load(RELAY)


class RelayChannel:
    """The contract on one channel. ``last`` is the latest answer; ``now_us`` the time of proposals that name none."""

    def __init__(self, state: MemoryState | None = None) -> None:
        self.state = MemoryState() if state is None else state
        self._simulator = Simulator(chaincode(), self.state)
        self.last: Invocation | None = None
        self.now_us = after(MINUTE)

    def register(self, **changes: Any) -> RelayChannel:
        """RegisterRelay of :data:`RECORD`, some members changed."""
        self.call("RegisterRelay", RECORD | changes, OPERATOR)
        return self

    def ask(
        self, function: str, argument: Any, caller: ClientIdentity = READER, time_us: int | None = None
    ) -> Invocation:
        """Whatever the contract answers."""
        self.last = self._simulator.invoke(function, argument, caller=caller, time_us=time_us or self.now_us)
        return self.last

    def call(self, function: str, argument: Any, caller: ClientIdentity = READER, time_us: int | None = None) -> Any:
        """The payload; fails the test where the contract refuses."""
        answer = self.ask(function, argument, caller, time_us)
        assert answer.successful, f"{function}: {answer.message}"
        return answer.payload

    def refused(
        self, function: str, argument: Any, *names: str, caller: ClientIdentity = READER, time_us: int | None = None
    ) -> str:
        """The message of a refusal, which must contain ``names``; fails the test unless nothing was written."""
        before = self.state.to_bytes()
        answer = self.ask(function, argument, caller, time_us)
        assert answer.status == 400, f"{function} answered {answer.status}: {answer.message or answer.payload}"
        assert (answer.writes, answer.event, answer.payload) == ({}, None, None)
        assert self.state.to_bytes() == before
        for name in names:
            assert name in answer.message, answer.message
        return answer.message

    def record(self, who: str, given: str, *, minute: int | None = None, time_us: int | None = None) -> Any:
        """RecordCapture by a server."""
        return self.call("RecordCapture", recording(given, minute), server(who), time_us)

    def attest(self, who: str, given: str, minute: int = MINUTE, time_us: int | None = None) -> Any:
        """AttestCapture by a server, with the text where it differs."""
        argument = {"relay": "Rele_1", "minute": minute, "sha256": text_hash(given)}
        if self.stored(f"capture/Rele_1/{minute:010d}")["sha256"] != argument["sha256"]:
            argument["text"] = given
        return self.call("AttestCapture", argument, server(who), time_us)

    def conclude(self, who: str = "5004", minute: int = MINUTE, time_us: int | None = None) -> Any:
        """Conclude by a server."""
        return self.call("Conclude", {"relay": "Rele_1", "minute": minute}, server(who), time_us)

    def confirm(self, minute: int, *, seed: int = 0, given: str | None = None) -> None:
        """Record, attest and conclude one minute in which all servers agree."""
        given = told(minute, seed=seed) if given is None else given
        now_us = after(minute)
        self.record("5004", given, time_us=now_us)
        for who in ("5005", "5006"):
            self.attest(who, given, minute, now_us)
        self.conclude(minute=minute, time_us=now_us)

    def get(self, minute: int = MINUTE) -> Any:
        """GetCapture."""
        return self.call("GetCapture", {"relay": "Rele_1", "minute": minute})

    def stored(self, key: str) -> Any:
        """A value of the world state, None where there is none."""
        found = self.state.get("", key)
        return None if found is None else jsontext.loads_trusted(found.value)

    def stored_keys(self) -> set[str]:
        """All keys that have a value."""
        return set(json.loads(self.state.to_bytes())["state"])

    def endorse(self, function: str, argument: Any, caller: ClientIdentity, time_us: int, nonce: int) -> Result:
        """What peers sign now; :meth:`order` decides later whether it counts."""
        proposal = Proposal.build(
            channel="simulate",
            chaincode="simulate",
            sequence=1,
            function=function,
            args=(argument,),
            creator="simulate",
            nonce=sha256(str(nonce).encode()).hexdigest(),
            time_us=time_us,
            transient=None,
        )
        return execute(chaincode(), proposal, caller, self.state)

    def order(self, result: Result, time_us: int) -> bool:
        """Whether the transaction is valid: what it has read is as it was. Then its writes are in the state."""
        if any(self._version(key) != version for key, version in result.reads):
            return False
        assert not result.ranges
        self.state.commit(result, time_us)
        return True

    def _version(self, key: str) -> Any:
        found = self.state.get("", key)
        return None if found is None else found.version


def changed(record: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a record with the member at ``path`` ("servers.0.id") replaced, or removed where ``value`` is ..."""
    copy = json.loads(json.dumps(record))
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner = copy
    for part in way:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return dict(copy)
