"""The contract ``anchors`` on one channel's state in memory, and chains that it anchors.

Organisation n of a channel is ``OrgnMSP``. A chain is a tree of leaves that its name and their numbers make.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gridledger import jsontext
from gridledger.contract import ClientIdentity
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.evidence.anchor import HeaderTree
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity, sign_p256
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result
from gridledger.protocol.statements import statement_text
from tests.support.contract_channel import certificate

ANCHORS = Path(__file__).parents[2] / "chaincode" / "anchors"
MAINCHAIN = "simulate"
S = 1_000_000
START_US = 1_796_000_000 * S
GENESIS = sha256(b"block 0").hexdigest()


def mspid(number: int) -> str:
    """The MSP id of an organisation."""
    return f"Org{number}MSP"


@cache
def secret(number: int, key: int = 0) -> ec.EllipticCurvePrivateKey:
    """The ``key``-th key that the agent of an organisation enrols with."""
    return ec.derive_private_key(1000 * (number + 1) + key, ec.SECP256R1())


def agent(number: int, role: str | None = "agent", key: int = 0) -> ClientIdentity:
    """The agent of an organisation, with its ``key``-th certificate."""
    attributes = {} if role is None else {"anchor.role": role}
    der = certificate(f"agent{number}", 0, secret(number, key))
    return ClientIdentity(f"x509::/CN=agent{number}::/CN=ca", mspid(number), "client", attributes, der)


@cache
def signing_identity(number: int, key: int = 0) -> SigningIdentity:
    """The agent of an organisation as it signs by itself."""
    der = b64decode(agent(number, key=key).certificate)
    return SigningIdentity(Certificate.from_der(der), secret(number, key), mspid(number))


def url(number: int) -> str:
    """Where the agent of an organisation is asked."""
    return f"https://agent{number}:5350"


class Chain:
    """A chain of which another channel keeps heads. One that ``forks`` at a block has other blocks from there on."""

    def __init__(self, name: str = "", size: int = 64, *, forks: int | None = None) -> None:
        self._name, self._forks = name, size if forks is None else forks
        self.tree = HeaderTree.from_hashes(map(self.leaf, range(size)))

    def leaf(self, number: int) -> bytes:
        """The hash of a block's leaf."""
        return sha256(f"{'' if number < self._forks else self._name}/{number}".encode()).digest()

    def root(self, size: int) -> str:
        return self.tree.root(size).hex()

    def head(self, size: int) -> dict[str, str]:
        """What an agent says of this chain at a size."""
        root = self.root(size)
        return {
            "root": root,
            "header_hash": sha256(f"header {root}".encode()).hexdigest(),
            "commit_hash": sha256(f"commit {root}".encode()).hexdigest(),
        }

    def proof(self, first: int, size: int) -> list[str]:
        """That the tree of ``size`` begins with that of ``first``."""
        return [item.hex() for item in self.tree.consistency(first, size)]


HONEST = Chain()
FORGED = Chain("forged", forks=20)
"""Another chain from block 20 on."""


@cache
def chaincode() -> Chaincode:
    """The contract, imported once."""
    return load(ANCHORS)


class AnchorsChannel:
    """The contract. ``last`` is the latest answer; each call is a microsecond later."""

    def __init__(self, organisations: int = 0, channel: str = "shard1", anchoring: str = MAINCHAIN) -> None:
        """With ``organisations`` of 1 and more, these are the members of ``channel``."""
        self.state = MemoryState()
        self._simulator = Simulator(chaincode(), self.state)
        self.last: Invocation | None = None
        self.now_us = START_US
        self.channel = channel
        self.anchoring = anchoring
        for number in range(1, organisations + 1):
            self.say(number, range(1, organisations + 1))

    def ask(self, function: str, argument: Any, caller: ClientIdentity) -> Invocation:
        """Whatever the contract answers."""
        self.now_us += 1
        self.last = self._simulator.invoke(function, argument, caller=caller, time_us=self.now_us)
        return self.last

    def call(self, function: str, argument: Any, caller: ClientIdentity | None = None) -> Any:
        """The payload; fails the test where the contract refuses."""
        answer = self.ask(function, argument, caller or agent(1))
        assert answer.successful, f"{function}: {answer.message}"
        return answer.payload

    def refused(self, function: str, argument: Any, *names: str, caller: ClientIdentity | None = None) -> str:
        """The message of a refusal, which must contain ``names``; fails the test unless nothing was written."""
        before = self.state.to_bytes()
        answer = self.ask(function, argument, caller or agent(1))
        assert answer.status == 400, f"{function} answered {answer.status}: {answer.message or answer.payload}"
        assert (answer.writes, answer.event, self.state.to_bytes()) == ({}, None, before)
        for name in names:
            assert name in answer.message, answer.message
        return answer.message

    def event(self) -> tuple[str, Any]:
        """Name and payload of the last call's event."""
        assert self.last is not None
        assert self.last.event is not None
        return self.last.event["name"], self.last.event["payload"]

    def say(self, number: int, organisations: Sequence[int], genesis: str = GENESIS) -> Any:
        """SetMembers by the agent of an organisation."""
        names = sorted(mspid(each) for each in organisations)
        argument = {"channel": self.channel, "organisations": names, "genesis": genesis}
        return self.call("SetMembers", argument, agent(number))

    def attesting(self, size: int, chain: Chain = HONEST, *, first: int | None = None, **more: Any) -> dict[str, Any]:
        """The argument of Attest; ``first`` is the last final size unless given."""
        first = (self.final or {"size": 0})["size"] if first is None else first
        proof = chain.proof(first, size)
        told = {"channel": self.channel, "size": size, **chain.head(size), "height": size, "consistency": proof}
        return told | more

    def attest(self, number: int, size: int, chain: Chain = HONEST, *, first: int | None = None, **more: Any) -> Any:
        """Attest by the agent of an organisation."""
        return self.call("Attest", self.attesting(size, chain, first=first, **more), agent(number))

    def register(self, *numbers: int, key: int = 0) -> None:
        """SetAgent by the agents of organisations, a minute after any record before."""
        self.now_us += 60 * S
        for number in numbers:
            self.call("SetAgent", {"url": url(number)}, agent(number, key=key))

    def signed(self, number: int, size: int, chain: Chain = HONEST, *, base: int | None = None, key: int = 0) -> str:
        """The signature of an organisation's agent under what it says of a size."""
        base = (self.final or {"size": 0})["size"] if base is None else base
        text = statement_text(self.anchoring, self.channel, size, base, chain.head(size))
        return sign_p256(secret(number, key), text).hex()

    def round(
        self, size: int, said: Mapping[int, Chain], *, base: int | None = None, proof: Chain = HONEST
    ) -> dict[str, Any]:
        """A round of Cosign: what each organisation says of a size; ``base`` is the last final size unless given."""
        base = (self.final or {"size": 0})["size"] if base is None else base
        heads = [
            {
                **chain.head(size),
                "signatures": [
                    {"mspid": mspid(number), "signature": self.signed(number, size, chain, base=base)}
                    for number, its in said.items()
                    if its is chain
                ],
            }
            for chain in dict.fromkeys(said.values())
        ]
        told = {"channel": self.channel, "size": size, "base": base, "heads": heads}
        return {**told, "consistency": proof.proof(base, size) if base <= size else []}

    def cosign(self, *rounds: dict[str, Any], caller: ClientIdentity | None = None) -> list[Any]:
        """Cosign, by an agent that belongs to none of the channels unless another one is named."""
        answer: list[Any] = self.call("Cosign", {"rounds": list(rounds)}, caller or agent(9))["rounds"]
        return answer

    def anchor(self, size: int, organisations: Sequence[int] = (1, 2)) -> Any:
        """A size made final by these organisations."""
        for number in organisations[:-1]:
            self.attest(number, size)
        answer = self.attest(organisations[-1], size, conclude=True)
        assert answer["anchored"]
        return answer

    @property
    def status(self) -> Any:
        return self.call("GetStatus", {"channel": self.channel})

    @property
    def final(self) -> Any:
        return self.status["final"]

    def endorse(self, function: str, argument: Any, caller: ClientIdentity) -> Result:
        """What peers sign now; :meth:`order` decides later whether it counts."""
        self.now_us += 1
        proposal = Proposal.build(
            channel=MAINCHAIN,
            chaincode=MAINCHAIN,
            sequence=1,
            function=function,
            args=(argument,),
            creator=MAINCHAIN,
            nonce=f"{self.now_us:064x}",
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

    def stored(self, key: str) -> Any:
        """A value of the world state, None where there is none."""
        found = self.state.get("", key)
        return None if found is None else jsontext.loads_trusted(found.value)
