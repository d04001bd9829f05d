"""A gateway on paper: answers a client's calls as a peer would, or with the errors that a test has queued."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from gridledger import jsontext
from gridledger.client.connection import Timeouts
from gridledger.client.failover import Gateways
from gridledger.client.gateway import Gateway
from gridledger.client.retry import Retry
from gridledger.client.session import Session
from gridledger.client.signers import Signer
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.proposal import EndorseRequest, SignedProposal
from gridledger.protocol.result import EndorsedResult, Response
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.transaction_status import Status
from gridledger.transport import call_frames
from tests.support.paper import NOW_US, PaperNetwork


class PaperGateway:
    """Stands for a gateway's node and its calls. In ``next`` a test queues, by kind of call, what comes in place of the
    usual answer: an error, the code of a commit, or the bytes of an answer."""

    base_url = "https://localhost:1"
    tls: Any = None
    connect_timeout_s = 1.0

    def __init__(self) -> None:
        self.paper = PaperNetwork()
        self.sequence = 1
        self.next: dict[int, list[Exception | Code | bytes]] = {}
        self.answers: dict[str, Any] = {}
        self.proposals: list[SignedProposal] = []
        self.submitted: list[Transaction] = []
        self.organisations: list[tuple[str, ...] | None] = []
        self.asked: list[str] = []

    def gateway(
        self, timeouts: Timeouts | None = None, retry: Retry | None = None, signer: Signer | None = None
    ) -> Gateway:
        """The SDK over this gateway, as Org1's client; its nonces count, its clock stands."""
        nonces = iter(range(1, 1000))
        return Gateway(
            self.session(timeouts, retry, signer=signer), clock_us=lambda: NOW_US, nonce=lambda: f"{next(nonces):032x}"
        )

    def session(
        self,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        *,
        others: Sequence[PaperGateway] = (),
        signer: Signer | None = None,
    ) -> Session:
        """Org1's client at this gateway, and at others."""
        members: Any = [self, *others]
        return Session(Gateways(members), signer or self.paper.client, timeouts=timeouts, retry=retry)

    @property
    def node(self) -> Any:
        return self

    @property
    def calls(self) -> Any:
        return self

    async def request(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        queued = self.next.get(kind)
        special = queued.pop(0) if queued else None
        if isinstance(special, Exception):
            raise special
        if isinstance(special, bytes):
            return special
        if kind in (call_frames.ENDORSE, call_frames.EVALUATE):
            request = EndorseRequest.from_bytes(body)
            signed = request.signed
            self.proposals.append(signed)
            self.organisations.append(request.organisations)
            return self.endorsed(signed) if kind == call_frames.ENDORSE else b'{"status":200,"message":"","payload":7}'
        transaction = Transaction.parse(body)
        self.submitted.append(transaction)
        if kind == call_frames.ORDER:
            return jsontext.dumps({"tx_id": transaction.tx_id})
        code = Code.VALID if special is None else special
        return jsontext.dumps(Status(transaction.tx_id, code, len(self.submitted), "c" * 64).to_dict())

    def endorsed(self, signed: SignedProposal) -> bytes:
        """What both peers endorse of a proposal: one write, and its number among all as the payload."""
        result = self.paper.result(signed.proposal, {"k": 1}, response=Response(200, "", len(self.proposals)))
        peers = ("peer1", "peer2")
        endorsements = tuple(self.paper.endorsement(peer, result) for peer in peers)
        return jsontext.dumps(EndorsedResult(result.text, endorsements, peers).to_dict())

    async def close(self) -> None:
        """Nothing is open."""

    async def alive(self, timeout_s: float) -> bool:
        return True

    async def get_json(self, path: str, **_: Any) -> Any:
        self.asked.append(path)
        answer = self.answers.get(path, {"sequence": self.sequence})
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get(self, path: str, **_: Any) -> bytes:
        self.asked.append(path)
        return bytes(self.answers[path])
