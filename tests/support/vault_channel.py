"""The contract ``vault`` on one channel's state in memory, with a base and clusters of nine, five and three holders.

Shares are hashes that nothing stands behind, but for the audits: an answer leads to its commitment, and commitments to
their root. Keys are real, one for each certificate.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gridledger import jsontext
from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.identity.signer import PrivateKey, sign_p256, signature_hash
from gridledger.protocol import merkle
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result

VAULT = Path(__file__).parents[2] / "chaincode" / "vault"
CHANNEL = "simulate"
S = 1_000_000
START_US = 1_796_000_000 * S
AUDITS = 4
SECURITY = tuple(f"m1-{number}" for number in range(9))
TRANSFORMER = tuple(f"m2-{number}" for number in range(5))
ARRESTER = tuple(f"m5-{number}" for number in range(3))
HEADS = ("m1-0", "m2-0", "m5-0")
MSPS = {"M1": "SecurityMSP", "M2": "TransformerMSP", "M5": "ArresterMSP"}
IDS = {name: str(1000 + number) for number, name in enumerate((*SECURITY, *TRANSFORMER, *ARRESTER))}
READERS = "OR('OperatorsMSP.client[vault.role=reader]', 'SecurityMSP.client[vault.role=head]')"


@cache
def private_key(number: int) -> ec.EllipticCurvePrivateKey:
    """A key of P-256 that is the same in every run."""
    return ec.derive_private_key(number, ec.SECP256R1())


@cache
def certificate(name: str, number: int, key: PrivateKey | None = None) -> str:
    """A certificate for a name and a key, signed by itself; DER in base64."""
    key = key or private_key(number)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 7, begin, begin + timedelta(days=9999))
        .sign(key, signature_hash(key))
        .public_bytes(serialization.Encoding.DER)
    )
    return base64.b64encode(built).decode()


def client(mspid: str, name: str = "c", key: int = 1, role: str = "client", **attributes: str) -> ClientIdentity:
    """A caller; ``vault_role`` stands for the attribute vault.role."""
    named = {k.replace("_", "."): v for k, v in attributes.items()}
    return ClientIdentity(f"x509::/CN={name}::/CN=ca", mspid, role, named, certificate(name, key))


BASE = client("BaseMSP", "base", 2, vault_role="base")
READER = client("OperatorsMSP", "reader", 3, vault_role="reader")
STRANGER = client("StrangersMSP", "stranger", 4, vault_role="base", vault_cluster="M1", vault_id=IDS["m1-0"])
DEALER = client("SecurityMSP", "dealer", 5, vault_role="dealer", vault_cluster="M1")


def cluster_of(name: str) -> str:
    """The cluster of a holder."""
    return "M" + name[1]


def key_of(name: str) -> int:
    """The number of a holder's private key."""
    return 100 + [*IDS].index(name)


def holder(name: str, *, key: int | None = None, x: str | None = None, mspid: str | None = None) -> ClientIdentity:
    """A holder's identity; or with another key, id or MSP than it has."""
    role = "head" if name.endswith("-0") else "sensor"
    attributes = {"vault_role": role, "vault_cluster": cluster_of(name), "vault_id": x or IDS[name]}
    return client(mspid or MSPS[cluster_of(name)], name, key or key_of(name), **attributes)


HEAD = holder("m1-0")
WEAK_FOR_3 = str((2**521 - 2) // 2)
"""-1/2 in the field: the share of an object with t = 3 that this id would have is one of its data alone.

No weak id is below 2^64, where ids that join lie: tests write it into the state, behind the check of bounds."""


def digest(*parts: Any) -> str:
    """A hash that is the same in every run."""
    return sha256("|".join(map(str, parts)).encode()).hexdigest()


def root_of(name: str, version: int, who: str) -> str:
    """The root of a share."""
    return digest("root", name, version, who)


def certificate_sha256(caller: ClientIdentity) -> str:
    """How the ledger names a certificate."""
    return sha256(base64.b64decode(caller.certificate)).hexdigest()


@dataclass(frozen=True)
class Audits:
    """What a dealer prepares for one share; ``series`` 1 and up are those of repairs."""

    object: str
    version: int
    holder: str
    series: int = 0
    count: int = AUDITS

    def nonce(self, number: int) -> str:
        return digest("nonce", self, number)

    def answer(self, number: int) -> str:
        return digest("answer", self, number)

    def commitment(self, number: int) -> str:
        return sha256(bytes.fromhex(self.answer(number))).hexdigest()

    @property
    def leaves(self) -> list[bytes]:
        return [bytes.fromhex(self.commitment(number)) for number in range(self.count)]

    @property
    def root(self) -> str:
        return merkle.root(self.leaves).hex()

    def challenge(self, number: int) -> dict[str, Any]:
        """The argument of Challenge."""
        return {
            "object": self.object,
            "version": self.version,
            "holder": self.holder,
            "number": number,
            "nonce": self.nonce(number),
            "commitment": self.commitment(number),
            "path": [each.hex() for each in merkle.path(self.leaves, number)],
        }


def manifest(
    name: str = "oil-1",
    *,
    cluster: str = "M1",
    holders: Sequence[str] = SECURITY,
    ids: Mapping[str, str] = IDS,
    version: int = 1,
    cycle: int = 1,
    t: int | None = None,
    profile: str = "sealed",
    length: int = 1000,
    readers: str = READERS,
) -> dict[str, Any]:
    """The argument of PutObject. With a later version: that of Reshare, but for ``read``."""
    t = t or {"M1": 5, "M2": 3, "M5": 2, "heads": 2}[cluster]
    layer = 1 if cluster == "heads" else 2
    shares = [
        {
            "holder": who,
            "id": ids[who],
            "bytes": 300,
            "root": root_of(name, version, who),
            "key_sha256": digest("key", name, version, who) if profile == "sealed" else None,
            "audit_root": Audits(name, version, who).root,
        }
        for who in holders
    ]
    common = {"object": name, "cycle": cycle, "profile": profile, "t": t, "length": length}
    place = {"layer": layer, "cluster": cluster}
    head = {"channel": CHANNEL, **common, **place, "version": version, "ids": [share["id"] for share in shares]}
    argument: dict[str, Any] = {
        **common,
        "n": len(shares),
        "head": head,
        "parts": [{"length": length, "cipher_sha256": digest("cipher", name, version)}],
        "shares": shares,
        "audits": AUDITS,
        "audit_secret": base64.b64encode(b"sealed to the base").decode(),
    }
    return argument if version > 1 else {**argument, **place, "readers": readers, "meta": {"sensor": "oil"}}


def served(
    name: str, number: int, who: str, served_read: str, served_root: str, *, key: int | None = None, **changes: Any
) -> dict[str, Any]:
    """The argument of ReportBad: what a holder says that it served, under its signature; some members changed."""
    told = {"kind": "share_served", "channel": CHANNEL, "object": name, "version": number, "holder": who}
    text = jsontext.dumps({**told, "read": served_read, "root": served_root, **changes})
    signature = sign_p256(private_key(key or key_of(who)), text)
    return {"answer": text.decode(), "signature": base64.b64encode(signature).decode()}


@cache
def chaincode() -> Chaincode:
    """The contract, imported once."""
    return load(VAULT)


def module(name: str) -> ModuleType:
    """A module of the contract, as the loader has imported it."""
    package = type(chaincode().contracts[0]).__module__.rpartition(".")[0]
    return sys.modules[f"{package}.{name}"]


@cache
def _peopled() -> bytes:
    """The state after the first cycle has begun."""
    channel = VaultChannel(MemoryState())
    channel.set_up()
    return channel.state.to_bytes()


class VaultChannel:
    """The contract on one channel. ``last`` is the latest answer; ``now_us`` the time of proposals that name none.

    Without ``state``: clusters M1 (t = 5, spare 1), M2 (3, 1), M5 (2, 0) and heads (2, 0) in cycle 1.
    """

    def __init__(self, state: MemoryState | None = None) -> None:
        self.state = MemoryState.from_bytes(_peopled()) if state is None else state
        self._simulator = Simulator(chaincode(), self.state)
        self.last: Invocation | None = None
        self.now_us = START_US

    def set_up(self) -> None:
        """From nothing to the first cycle."""
        for name, t, spare in (("M1", 5, 1), ("M2", 3, 1), ("M5", 2, 0)):
            self.call("SetCluster", {**cluster(name, t, spare), "mspid": MSPS[name]}, BASE)
        self.call("SetCluster", cluster("heads", 2, 0), BASE)
        for name in IDS:
            self.join(name)
            self.call("Admit", {"holder": name}, BASE)
        self.call("BeginCycle", {"cycle": 1, "heads": {cluster_of(head): head for head in HEADS}}, BASE)

    def join(self, name: str, **changes: Any) -> Any:
        """Join by the holder itself."""
        return self.call("Join", joining(name, **changes), holder(name))

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
        """The message of a refusal, which must contain ``names``; fails the test unless nothing was written."""
        before = self.state.to_bytes()
        answer = self.ask(function, argument, caller, time_us)
        assert answer.status == 400, f"{function} answered {answer.status}: {answer.message or answer.payload}"
        assert (answer.writes, answer.event, answer.payload) == ({}, None, None)
        assert self.state.to_bytes() == before
        for name in names:
            assert name in answer.message, answer.message
        return answer.message

    def event(self) -> tuple[str, Any]:
        """Name and payload of the last call's event."""
        assert self.last is not None
        assert self.last.event is not None
        return self.last.event["name"], self.last.event["payload"]

    def put(self, name: str = "oil-1", caller: ClientIdentity = HEAD, **changes: Any) -> Any:
        """PutObject."""
        return self.call("PutObject", manifest(name, **changes), caller)

    def ack(self, who: str, name: str = "oil-1", version: int = 1) -> Any:
        """AckShare by a holder."""
        return self.call("AckShare", acking(who, name, version), holder(who))

    def store(self, name: str = "oil-1", *, acks: int = 6, **changes: Any) -> VaultChannel:
        """Put, acknowledge, settle."""
        self.put(name, **changes)
        for who in SECURITY[:acks]:
            self.ack(who, name)
        assert self.call("Settle", {"object": name}, BASE)["status"] == "stored"
        return self

    def read(self, name: str = "oil-1", caller: ClientIdentity = READER, purpose: str = "study") -> str:
        """RequestRead: the read's id."""
        return str(self.call("RequestRead", {"object": name, "purpose": purpose}, caller)["read"])

    def stored(self, key: str) -> Any:
        """A value of the world state, None where there is none."""
        found = self.state.get("", key)
        return None if found is None else jsontext.loads_trusted(found.value)

    def with_values(self, values: Mapping[str, Any], without: Sequence[str] = ()) -> VaultChannel:
        """Another channel in this one's state, with values by key that are written by hand, as no call leaves them;
        ``without`` the keys that begin so."""
        whole = json.loads(self.state.to_bytes())
        kept = {key: value for key, value in whole["state"].items() if not key.startswith(tuple(without))}
        whole["state"] = kept | dict(values)
        return VaultChannel(MemoryState.from_bytes(json.dumps(whole).encode()))

    def stub(self) -> Stub:
        """A transaction's view of the state, for a call of one function of the contract's modules."""
        proposal = Proposal.build(
            channel=CHANNEL, chaincode=CHANNEL, sequence=1, function="f", args=(), creator=CHANNEL, nonce="0" * 32,
            time_us=self.now_us, transient=None,
        )  # fmt: skip
        return Stub(proposal, {}, self.state)

    def stored_keys(self) -> set[str]:
        """All keys that have a value."""
        return set(json.loads(self.state.to_bytes())["state"])

    def endorse(self, function: str, argument: Any, caller: ClientIdentity, nonce: int) -> Result:
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
        return execute(chaincode(), proposal, caller, self.state)

    def order(self, result: Result) -> bool:
        """Whether the transaction is valid: what it has read is as it was. Then its writes are in the state."""
        if any(self._version(key) != version for key, version in result.reads):
            return False
        assert not result.ranges
        self.state.commit(result, self.now_us)
        return True

    def _version(self, key: str) -> Any:
        found = self.state.get("", key)
        return None if found is None else found.version


def cluster(name: str, t: int, spare: int, profile: str = "sealed") -> dict[str, Any]:
    """The argument of SetCluster."""
    return {"cluster": name, "t": t, "profile": profile, "spare": spare}


def joining(name: str, **changes: Any) -> dict[str, Any]:
    """The argument of Join."""
    own = {"holder": name, "cluster": cluster_of(name), "id": IDS[name], "kem_key": kem_key(name)}
    return {**own, "url": f"https://127.0.0.1:5210/holders/{name}", **changes}


def kem_key(name: str) -> str:
    """A public key of HPKE, as far as the contract looks at it."""
    return base64.b64encode(sha256(name.encode()).digest()).decode()


def acking(who: str, name: str = "oil-1", version: int = 1) -> dict[str, Any]:
    """The argument of AckShare."""
    root = root_of(name, version, who)
    return {"object": name, "version": version, "root": root, "log_head": digest("log", who, name, version)}


def kept(who: str, name: str = "oil-1", version: int = 1, *, key: int | None = None, **changes: Any) -> dict[str, str]:
    """One of AckShares' ``said``: what a holder signs of its share; some members changed."""
    place = {"channel": CHANNEL, "object": name, "version": version, "holder": who}
    own = acking(who, name, version)
    text = jsontext.dumps({"kind": "share_kept", **place, "root": own["root"], "log_head": own["log_head"], **changes})
    signature = sign_p256(private_key(key or key_of(who)), text)
    return {"text": text.decode(), "signature": base64.b64encode(signature).decode()}


def handing_over(*who: str, name: str = "oil-1", version: int = 1) -> dict[str, Any]:
    """The argument of AckShares."""
    return {"object": name, "version": version, "said": [kept(each, name, version) for each in who]}


def changed(argument: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the member at ``path`` ("shares.0.id") replaced, or removed where ``value`` is ..."""
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
