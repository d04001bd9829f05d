"""A case desk on a real socket, with an index of its own and the contract of cases on a state in memory.

What its peer would say of transactions is made here, so that a test can have one that is not valid, or is another's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from gridledger.client import EndorseError
from gridledger.contract.executor import execute
from gridledger.contract.hosting.pool import client_identity
from gridledger.contract.simulator.state import MemoryState
from gridledger.errors import InputError, NotFoundError
from gridledger.evidence.package import ChannelPart, Package, Place, Roles
from gridledger.identity.msp import MSP, Identity, MSPManager
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.fields import to_base64
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.transaction_status import Status
from gridledger.transport.node_client import client_tls
from gridledger.web import ServerSettings, TLSFiles, WebServer, admins_and, by_certificate, create_app
from services.case.questions import Question
from services.case.serving.admission import Admission
from services.case.serving.index import Index
from services.case.serving.reading import Reading
from services.case.serving.routes import DESCRIPTION, make_router
from services.case.serving.used import UsedQueries
from tests.support.case_blocks import PLACES
from tests.support.case_chains import Chains, Told
from tests.support.contract_channel import chaincode
from tests.support.paper import PaperOrganisation
from tests.support.processes import free_ports

S = 1_000_000
SCOPE = {"channels": ["access", "section-plant"], "from_us": 0, "to_us": 10**15}
VALID = TxValidationCode.VALID
_NONCES = count(1)


class FakeCollector:
    """Packages of the evidence alone, that disclose ``disclosed`` besides."""

    def __init__(self) -> None:
        self.collected: list[tuple[tuple[Place, ...], Mapping[str, Any]]] = []
        self.others = 0

    async def collect(self, evidence: Iterable[Place], about: Mapping[str, Any]) -> Package:
        places = tuple(sorted(set(evidence)))
        self.collected.append((places, about))
        others = [Place("section-plant", 7, index) for index in range(self.others)]

        class Disclosing(Package):
            def disclosed(self) -> list[Place]:
                return others

        return Disclosing(Roles(("general", "anchors")), places, {"general": ChannelPart({})}, about=about)


class FakeLightNodes:
    """Light nodes that give what ``answers`` has, by path; an answer that is an error is raised."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def get(self, device: str, path: str, params: Mapping[str, str]) -> bytes:
        """As :class:`~services.case.off_chain.LightNodes`."""
        return bytes(await self.get_json(device, path, params))

    async def get_json(self, device: str, path: str, params: Mapping[str, str]) -> Any:
        """As :class:`~services.case.off_chain.LightNodes`."""
        self.asked.append((device, path, dict(params)))
        answer = self.answers.get(path, NotFoundError("there is no such thing"))
        if isinstance(answer, Exception):
            raise answer
        return answer(params) if callable(answer) else answer


class DeskWorld:
    """Organisations, the contract of cases, an index. ``now_us`` is the desk's clock."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.investigators = PaperOrganisation("AuthorityMSP"), PaperOrganisation("InvestigatorsMSP")
        self.stranger = PaperOrganisation("KyivMSP")
        self.head = self.authority.issue("head", "client", attributes={"forensics.role": "authority"})
        self.roman = self.investigators.issue("roman", "client", attributes={"forensics.role": "investigator"})
        self.olha = self.investigators.issue("olha", "client", attributes={"forensics.role": "investigator"})
        self.clerk = self.investigators.issue("clerk", "client")
        self.admin = self.authority.issue("admin", "admin")
        self.folder = folder
        self.server = folder / "server"
        self.authority.issue("desk", "client").save(self.server)
        organisations = (self.authority, self.investigators, self.stranger)
        self.msps = MSPManager({one.mspid: MSP(one.mspid, [one.root]) for one in organisations})
        self.index = Index(folder, PLACES)
        self.chains = Chains()
        self.state = MemoryState()
        self.channel, self.chaincode = "general", "cases"
        self.now_us = time.time_ns() // 1000
        self.collector = FakeCollector()
        self.light_nodes = FakeLightNodes()
        self.reads = 0
        self._transactions: dict[str, ProvedTransaction] = {}
        self.submit("SetAuthority", {"investigators": "InvestigatorsMSP"}, self.head)

    def submit(
        self,
        function: str,
        argument: Any,
        by: SigningIdentity,
        *,
        code: TxValidationCode = VALID,
        pretended: bool = False,
        **place: Any,
    ) -> str:
        """A transaction of the contract of cases; its id. One that is pretended is what no contract would endorse, or
        of another ``channel`` or ``chaincode``."""
        proposal = Proposal.build(
            **({"channel": self.channel, "chaincode": self.chaincode} | place),
            function=function,
            sequence=1,
            args=(argument,),
            creator=to_base64(by.certificate.der),
            nonce=sha256(str(next(_NONCES)).encode()).hexdigest(),
            time_us=self.now_us,
        )
        who = client_identity(Identity(by.mspid, "client", by.certificate))
        result = execute(chaincode("cases"), proposal, who, self.state)
        if not pretended:
            assert result.response.status == 200, result.response.message
            if code == VALID:
                self.state.commit(result, self.now_us)
        self.commit(Transaction(proposal, result, (), "[]", b"").to_bytes(), proposal.tx_id, code)
        return proposal.tx_id

    def commit(self, envelope: bytes, tx_id: str, code: TxValidationCode = VALID) -> None:
        """Have the desk's peer tell of a transaction."""
        number = len(self._transactions)
        block = Block.build(
            channel=self.channel,
            number=number,
            previous_hash=ZERO_HASH,
            timestamp_us=self.now_us,
            envelopes=[envelope],
        )
        self._transactions[tx_id] = ProvedTransaction(
            tx_id, number, 0, code, envelope, header=block.header, count=1, siblings=(), signature=None
        )

    def open_case(self, name: str = "c-1", scope: Mapping[str, Any] = SCOPE, *, approved: bool = True) -> str:
        """A case of Roman's."""
        self.submit("OpenCase", {"case": name, "purpose": "breakers", "scope": dict(scope)}, self.roman)
        if approved:
            self.submit("Approve", {"case": name}, self.head)
        return name

    def query(
        self,
        question: Question,
        purpose: str = "search",
        *,
        by: SigningIdentity | None = None,
        case: str = "c-1",
        code: TxValidationCode = VALID,
    ) -> str:
        """A Query for a question; its id."""
        return self.submit("Query", {"case": case, "text": question.text(purpose)}, by or self.roman, code=code)

    def fill(self, channel: str, *told: Told, at_us: int = 1_000 * S) -> None:
        """Have the index read one more block."""
        self.index.add([self.chains.add(channel, at_us, told)])

    async def status(self, tx_id: str, wait_s: float) -> Status:
        """As :class:`~services.case.serving.own_peer.CaseBook`."""
        del wait_s
        found = await self.transaction(tx_id)
        return Status(tx_id, found.code, found.block, ZERO_HASH)

    async def transaction(self, tx_id: str) -> ProvedTransaction:
        """As :class:`~services.case.serving.own_peer.CaseBook`."""
        if tx_id not in self._transactions:
            raise NotFoundError(f"there is no transaction {tx_id}", code="TRANSACTION_MISSING")
        return self._transactions[tx_id]

    async def case(self, name: str) -> dict[str, Any]:
        """As :class:`~services.case.serving.own_peer.CaseBook`."""
        proposal = Proposal.build(
            channel=self.channel,
            chaincode=self.chaincode,
            sequence=1,
            function="GetCase",
            args=({"case": name},),
            creator="AAAA",
            nonce="0" * 32,
            time_us=self.now_us,
        )
        who = client_identity(Identity("AuthorityMSP", "client", self.head.certificate))
        response = execute(chaincode("cases"), proposal, who, self.state).response
        if response.status != 200:
            raise EndorseError(proposal.tx_id, InputError(response.message, code="CHAINCODE_REFUSED"))
        return dict(response.payload)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """The desk, as its wiring makes it; its port."""
        used = UsedQueries(self.folder)
        admission = Admission(self, used, lambda: self.now_us, wait_s=1.0, age_s=600.0)
        reading = Reading(self.index, self.collector, self.light_nodes, search_s=20.0, max_searches=2, max_packages=1)  # type: ignore[arg-type]
        app = create_app(
            "case-desk",
            by_certificate(lambda certificate: self.msps.identify(certificate, self.now_us)),
            node="desk",
            description=DESCRIPTION,
            may_read_metrics=admins_and((), ("AuthorityMSP",)),
        )
        app.include_router(make_router(admission, reading))
        roots = [self.authority.root, self.investigators.root, self.stranger.root]
        tls = TLSFiles(self.server / "cert.pem", self.server / "key.pem", roots)
        (port,) = free_ports(1)
        async with WebServer(app, ServerSettings("127.0.0.1", port, tls, graceful_stop_s=3)):
            yield port
        used.close()

    @asynccontextmanager
    async def client(self, port: int, by: SigningIdentity | None) -> AsyncIterator[httpx.AsyncClient]:
        """Who calls the desk."""
        context = client_tls(by, self.authority.root)
        async with httpx.AsyncClient(verify=context, base_url=f"https://localhost:{port}", timeout=10) as made:
            yield made
