"""A contract whose functions take one JSON object, on one channel's state in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gridledger import jsontext
from gridledger.contract import ClientIdentity
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.identity.signer import PrivateKey, signature_hash
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result

CHANNEL = "simulate"
S = 1_000_000
START_US = 1_796_000_000 * S


@cache
def chaincode(name: str) -> Chaincode:
    """A contract of the project, imported once."""
    return load(Path(__file__).parents[2] / "chaincode" / name)


@cache
def certificate(name: str, number: int, key: PrivateKey | None = None) -> str:
    """A certificate for a name and a key that is the same in every run, signed by itself; DER in base64."""
    key = key or ec.derive_private_key(number, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 7, begin, begin + timedelta(days=9999))
        .sign(key, signature_hash(key))
        .public_bytes(serialization.Encoding.DER)
    )
    return base64.b64encode(built).decode()


def client(mspid: str, **attributes: str) -> ClientIdentity:
    """A caller; ``forensics_role`` stands for the attribute forensics.role."""
    named = {k.replace("_", "."): v for k, v in attributes.items()}
    return ClientIdentity("x509::/CN=c::/CN=ca", mspid, attributes=named)


READER = client("CustomersMSP")


class ContractChannel:
    """The contract on one channel. ``last`` is the latest answer; ``now_us`` the time of proposals that name none."""

    def __init__(self, name: str, state: MemoryState | None = None) -> None:
        self._chaincode = chaincode(name)
        self.state = MemoryState() if state is None else state
        self._simulator = Simulator(self._chaincode, self.state)
        self.last: Invocation | None = None
        self.now_us = START_US

    def ask(
        self, function: str, argument: Any, caller: ClientIdentity = READER, time_us: int | None = None
    ) -> Invocation:
        """Whatever the contract answers. Each call is a microsecond later, and so has another transaction id."""
        self.now_us += 1
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
        """The message of a refusal, which must begin with the first of ``names`` and contain the others; fails the
        test unless nothing was written."""
        height = self.state.height
        answer = self.ask(function, argument, caller, time_us)
        assert answer.status == 400, f"{function} answered {answer.status}: {answer.message or answer.payload}"
        assert (answer.writes, answer.event, answer.payload) == ({}, None, None)
        assert self.state.height == height
        if names:
            assert answer.message.startswith(names[0]), answer.message
        for name in names[1:]:
            assert name in answer.message, answer.message
        return answer.message

    def event(self) -> tuple[str, Any]:
        """Name and payload of the last call's event."""
        assert self.last is not None
        assert self.last.event is not None
        return self.last.event["name"], self.last.event["payload"]

    def pages(self, function: str, argument: Mapping[str, Any]) -> list[Any]:
        """All items of a paged query."""
        found: list[Any] = []
        bookmark = None
        while True:
            answer = self.call(function, {**argument, "bookmark": bookmark})
            found += answer["items"]
            bookmark = answer["bookmark"]
            if bookmark is None:
                return found

    def stored(self, key: str) -> Any:
        """A value of the world state, None where there is none."""
        found = self.state.get("", key)
        return None if found is None else jsontext.loads_trusted(found.value)

    def endorse(self, function: str, argument: Any, caller: ClientIdentity, nonce: int = 0) -> Result:
        """What peers sign now; :meth:`order` decides later whether it counts."""
        proposal = Proposal.build(
            channel=CHANNEL,
            chaincode=CHANNEL,
            sequence=1,
            function=function,
            args=(argument,),
            creator=CHANNEL,
            nonce=sha256(str(nonce).encode()).hexdigest(),
            time_us=self.now_us,
            transient=None,
        )
        return execute(self._chaincode, proposal, caller, self.state)

    def order(self, result: Result) -> bool:
        """Whether the transaction is valid: what it has read, ranges too, is as it was. Then its writes are in the
        state."""
        if any(self._version(key) != version for key, version in result.reads):
            return False
        for read in result.ranges:
            now = [(key, version) for key, _, version in self.state.range("", read.start, read.end)]
            if now != [(each.key, each.version) for each in read.reads]:
                return False
        self.state.commit(result, self.now_us)
        return True

    def _version(self, key: str) -> Any:
        found = self.state.get("", key)
        return None if found is None else found.version


def changed(argument: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the member at ``path`` ("events.0.seq") replaced, or removed where ``value`` is ..."""
    copy = json.loads(json.dumps(argument))
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner = copy
    for part in way:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return dict(copy)
