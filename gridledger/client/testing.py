"""``FakeGateway``: the SDK over a channel in memory, for the tests of programs that use it. No network, no processes.

A real :class:`Gateway`, with the same steps, errors and texts; only what stands behind it is not. It runs chaincode as
peers do, validates reads (MVCC, phantoms), keeps a chain and gives events::

    gateway = FakeGateway({"kv": Path("chaincode/kv")})
    contract = gateway.get_network("channel").get_contract("kv")
    assert await contract.submit_transaction("add", "k", 1) == 1
    gateway.conflict()                                  # the next submission loses to a concurrent transaction
    with pytest.raises(CommitError):
        await contract.submit_transaction("add", "k", 1)

It endorses what peers would, without their signatures, and has no channel configuration (``get_config``).
``gridledger.client.blocking.Gateway(FakeGateway(...))`` is the blocking form.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gridledger import framing, jsontext
from gridledger.client.connection import GatewayConnection, Timeouts
from gridledger.client.failover import Gateways
from gridledger.client.fake_ledger import ChaincodeSource, FakeLedger
from gridledger.client.gateway import Gateway
from gridledger.client.retry import Retry
from gridledger.client.session import Session
from gridledger.contract.context import ClientIdentity
from gridledger.errors import GridLedgerError, NotFoundError, TimeoutExceeded
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity, generate_key, signature_hash
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.fields import to_base64
from gridledger.protocol.headers import CommittedHeader, HeadersPage
from gridledger.protocol.proposal import EndorseRequest, SignedProposal
from gridledger.protocol.result import EndorsedResult, Endorsement
from gridledger.protocol.search import TransactionFilter, TransactionsPage
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.world_state import HistoryPage
from gridledger.transport import call_frames
from gridledger.transport.call_client import CallClient
from gridledger.transport.node_client import NodeClient

URL = "https://fake.invalid"
_ENDORSER = "0" * 64
_STEPS = {
    "endorse": (call_frames.ENDORSE,),
    "evaluate": (call_frames.EVALUATE,),
    "submit": (call_frames.SUBMIT, call_frames.ORDER),
}


class FakeGateway(Gateway):
    """A gateway to one channel in memory, on which ``chaincodes`` run for one user.

    A chaincode is a folder, a contract (class or instance), or functions by name, each called as ``f(ctx, *args)``.
    Use it in one event loop. ``clock_us`` gives microseconds since 1970.
    """

    def __init__(
        self,
        chaincodes: Mapping[str, ChaincodeSource],
        *,
        channel: str = "channel",
        user: str = "alice",
        mspid: str = "Org1MSP",
        role: str = "client",
        attributes: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        signer = _identity(user, mspid)
        caller = ClientIdentity(
            f"x509::CN={user}", mspid, role, dict(attributes or {}), to_base64(signer.certificate.der)
        )
        self._ledger = FakeLedger(channel, chaincodes, caller, clock_us)
        self._calls = _FakeCalls(self._ledger)
        member = _FakeConnection(_FakeNode(self._ledger), self._calls)
        super().__init__(Session(Gateways([member]), signer, timeouts=timeouts, retry=retry), clock_us=clock_us)

    def conflict(self, times: int = 1, code: TxValidationCode = TxValidationCode.MVCC_READ_CONFLICT) -> None:
        """Let the next submissions end with this code, as if they had lost to concurrent ones."""
        self._ledger.verdicts += [code] * times

    def fail(self, step: str, error: GridLedgerError, times: int = 1) -> None:
        """Let the next calls of a step (endorse, evaluate, submit) end with this error, such as a ``BusyError``."""
        for kind in _STEPS[step]:
            self._calls.errors.setdefault(kind, []).extend([error] * times)

    def state(self, chaincode: str) -> dict[str, Any]:
        """The world state of a chaincode."""
        state = self._ledger.running(chaincode).state
        return {key: jsontext.loads(value) for key, value, _ in state.range("", "", "")}


class _FakeCalls(CallClient):
    """Answers calls as a peer's gateway does."""

    def __init__(self, ledger: FakeLedger) -> None:
        self.errors: dict[int, list[GridLedgerError]] = {}
        self._ledger = ledger

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        del timeout_s
        queued = self.errors.get(kind)
        if queued:
            raise queued.pop(0)
        ledger = self._ledger
        if kind == call_frames.ENDORSE:
            signed = EndorseRequest.from_bytes(body).signed
            _check_channel(ledger, signed.proposal.channel)
            ledger.check_new(signed.proposal.tx_id)
            endorsement = Endorsement(_ENDORSER, b"no peer's")
            return jsontext.dumps(EndorsedResult(ledger.run(signed).text, (endorsement,), ("fake",)).to_dict())
        if kind == call_frames.EVALUATE:
            signed = SignedProposal.from_bytes(body)
            _check_channel(ledger, signed.proposal.channel)
            return jsontext.dumps(ledger.run(signed).response._asdict())
        transaction = Transaction.parse(body)
        _check_channel(ledger, transaction.proposal.channel)
        status = ledger.commit(transaction)
        return jsontext.dumps({"tx_id": status.tx_id} if kind == call_frames.ORDER else status.to_dict())

    async def close(self) -> None:
        """Nothing is open."""


class _FakeNode(NodeClient):
    """Answers queries and streams as a peer does."""

    def __init__(self, ledger: FakeLedger) -> None:
        self.base_url = URL
        self._ledger = ledger

    async def close(self) -> None:
        """Nothing is open."""

    async def get(self, path: str, *, params: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> bytes:
        del timeout_s
        ledger = self._ledger
        if path == "/channels":
            return jsontext.dumps({"channels": [ledger.channel]})
        _, _, channel, *rest = path.split("/")
        _check_channel(ledger, channel)
        match rest:
            case []:
                return jsontext.dumps(ledger.info.to_dict())
            case ["chaincodes", name]:
                ledger.running(name)
                return jsontext.dumps({"sequence": 1, "version": "fake", "package": "0" * 64, "policy": "any.peer"})
            case ["blocks", *place]:
                return _block(ledger, place).to_bytes()
            case ["transactions"]:
                return jsontext.dumps(_found(ledger, params or {}).to_dict())
            case ["headers"]:
                return jsontext.dumps(_headers(ledger, params or {}).to_dict())
            case ["transactions", tx_id]:
                return jsontext.dumps(ledger.proved(tx_id).to_dict())
            case ["transactions", tx_id, "status"]:
                return jsontext.dumps(_status(ledger, tx_id, params or {}))
            case ["history", name]:
                return jsontext.dumps(_history(ledger, name, params or {}).to_dict())
        raise NotFoundError(f"the fake gateway has no {path}")

    async def lines(
        self, path: str, *, params: Mapping[str, str] | None = None, silence_s: float = 0.0
    ) -> AsyncIterator[bytes]:
        del silence_s
        wanted = dict(params or {})
        async for block in self._blocks(path, wanted):
            if path.endswith("/blocks"):
                yield jsontext.dumps(block.to_dict())
                continue
            for event in block.events:
                if event.chaincode == wanted["chaincode"] and wanted.get("name") in (None, event.name):
                    yield jsontext.dumps(event.to_dict())

    async def frames(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_frame_bytes: int = framing.MAX_FRAME_BYTES,
        silence_s: float = 0.0,
    ) -> AsyncIterator[bytes]:
        del body, max_frame_bytes, silence_s
        async for block in self._blocks(path, dict(params or {})):
            told = jsontext.dumps(block.to_dict())
            yield framing.pack((told, self._ledger.blocks[block.number].to_bytes()))

    async def _blocks(self, path: str, params: Mapping[str, str]) -> AsyncIterator[CommittedBlock]:
        _check_channel(self._ledger, path.split("/")[2])
        number = int(params["from"])
        while True:
            while number < len(self._ledger.events):
                yield self._ledger.events[number]
                number += 1
            await self._ledger.grown.wait()


class _FakeConnection(GatewayConnection):
    """Such a node and its calls."""

    def __init__(self, node: NodeClient, calls: CallClient) -> None:
        self.node = node
        self.calls = calls
        self._watched = False


def _headers(ledger: FakeLedger, params: Mapping[str, str]) -> HeadersPage:
    start = int(params.get("from", "0"))
    numbers = range(start, min(len(ledger.blocks), start + int(params.get("limit", "100"))))
    items = [CommittedHeader(ledger.blocks[n].header, None, ledger.events[n].commit_hash) for n in numbers]
    return HeadersPage(tuple(items), len(ledger.blocks))


def _block(ledger: FakeLedger, place: list[str]) -> Block:
    """A block by its number, or by its hash."""
    for number, block in enumerate(ledger.blocks):
        if place in ([str(number)], ["by-hash", block.header.hash]):
            return block
    raise NotFoundError(f"there is no block {place[-1]}", code="BLOCK_NOT_FOUND")


def _found(ledger: FakeLedger, params: Mapping[str, str]) -> TransactionsPage:
    """A page of a search. A bookmark is the number of those that were on the pages before."""
    asked: dict[str, Any] = {name: value for name, value in params.items() if name not in ("limit", "bookmark")}
    if "prefix" in asked:
        rows = [row for row in ledger.found() if row.tx_id.startswith(asked["prefix"].lower())]
        rows.sort(key=lambda row: row.tx_id)
    else:
        for name in ("from", "to"):
            if name in asked:
                asked[f"{name}_us"] = int(asked.pop(name))
        wanted = TransactionFilter.of(asked)
        rows = [row for row in ledger.found() if wanted.fits(row)]
    start, limit = int(params.get("bookmark", "0")), int(params["limit"])
    more = str(start + limit) if start + limit < len(rows) else None
    height = len(ledger.blocks)
    return TransactionsPage(tuple(rows[start : start + limit]), more, 0, height, height)


def _history(ledger: FakeLedger, chaincode: str, params: Mapping[str, str]) -> HistoryPage:
    items = tuple(ledger.running(chaincode).state.history(chaincode, params["key"]))
    start, limit = int(params.get("bookmark", "0")), int(params["limit"])
    more = str(start + limit) if start + limit < len(items) else None
    return HistoryPage(items[start : start + limit], more)


def _status(ledger: FakeLedger, tx_id: str, params: Mapping[str, str]) -> dict[str, Any]:
    try:
        return ledger.status(tx_id).to_dict()
    except NotFoundError:
        if float(params.get("wait_s", 0.0)) > 0:
            raise TimeoutExceeded("the transaction was not committed here in time", tx_id=tx_id) from None
        raise


def _check_channel(ledger: FakeLedger, channel: str) -> None:
    if channel != ledger.channel:
        raise NotFoundError(
            f"this peer is not on the channel {channel!r}; it is on: {[ledger.channel]}", code="CHANNEL_UNKNOWN"
        )


def _identity(user: str, mspid: str) -> SigningIdentity:
    """A key with a certificate of its own, which nobody but the fake gateway believes."""
    key = generate_key()
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "client")
    name = x509.Name([unit, x509.NameAttribute(NameOID.COMMON_NAME, user)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=365))
    made = builder.sign(key, signature_hash(key))
    return SigningIdentity(Certificate.from_der(made.public_bytes(Encoding.DER)), key, mspid)
