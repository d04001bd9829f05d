"""What is refused, where, and how: one table of HTTP answers and one of verdicts on the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gridledger import framing, jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.jsontext import MAX_VALUE_DEPTH
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Event, Response, Result
from tests.support.forgery import CHANNEL, Forger, nobody, now_us, of_version_2
from tests.support.paper import PaperOrganisation, endorse, with_high_s

pytestmark = pytest.mark.integration


# Requests that are refused at once: (what, the request, HTTP status, code)


async def _post(
    forger: Forger, path: str, body: bytes, *, node: str = "peer1", as_: SigningIdentity | None = None
) -> None:
    async with forger.network.node(node, as_ or forger.client) as client:
        await client.post(path, body)


async def _get(forger: Forger, path: str, *, node: str = "peer1", as_: SigningIdentity | None = None) -> None:
    async with forger.network.node(node, as_ or forger.client) as client:
        await client.get(path)


async def _get_as_nobody(forger: Forger, node: str, path: str) -> None:
    async with nobody(forger.network, node) as client:
        await client.get(path)


async def _endorse(forger: Forger, signed: SignedProposal, as_: SigningIdentity | None = None) -> None:
    await _post(forger, "/gateway/endorse", signed.to_bytes(), as_=as_)


async def _tampered_proposal(forger: Forger) -> None:
    signed = forger.proposal("key", 1)
    await _endorse(forger, replace(signed, proposal=Proposal.parse(signed.proposal.text.replace('"key",1', '"key",2'))))


async def _tampered_envelope(forger: Forger) -> bytes:
    transaction = await forger.endorsed("put", "key", 1)
    return forger.changed(transaction, result=Result.parse(transaction.result.text.replace('"key",1', '"key",2')))


async def _without_an_endorsement(forger: Forger) -> bytes:
    transaction = await forger.endorsed()
    first = jsontext.dumps([transaction.endorsements[0].to_dict()]).decode()
    return forger.changed(transaction, endorsements_text=first)


async def _malleable(forger: Forger) -> bytes:
    transaction = await forger.endorsed()
    return forger.changed(transaction, signature=with_high_s(transaction.signature))


async def _submit(forger: Forger, made: Awaitable[bytes]) -> None:
    await _post(forger, "/gateway/submit", await made)


async def _order(forger: Forger, made: Awaitable[bytes]) -> None:
    await forger.broadcast(await made)


async def _by_another_organisation(forger: Forger, path: str) -> None:
    outsider = await forger.network.client("Org3")
    await _post(forger, path, forger.proposal(signer=outsider).to_bytes(), as_=outsider)


async def _stranger_orders(forger: Forger) -> None:
    outsider = await forger.network.client("Org3")
    envelope = forger.made_up(forger.proposal(signer=outsider), forger.peer("peer1"), signer=outsider)
    await forger.broadcast(envelope)


async def _config(forger: Forger, signers: int, *, skip: int = 1, at: str = "gateway", age_s: int = 0) -> None:
    """An update of shard1, which needs a majority of the admins of its two organisations: both."""
    current = await forger.gateway.get_network(CHANNEL).get_config()
    following = replace(current, sequence=current.sequence + skip)
    admins = [forger.network.admin(f"Org{n + 1}") for n in range(signers)]
    update = ConfigUpdate.build(following, admins, time_us=now_us() - age_s * 1_000_000).to_bytes()
    await (_post(forger, "/gateway/submit", update) if at == "gateway" else forger.broadcast(update))


async def _wrong_signer(forger: Forger) -> None:
    current = await forger.gateway.get_network(CHANNEL).get_config()
    signers = [forger.network.admin("Org1"), await forger.network.client("Org2"), forger.network.admin("Org3")]
    update = ConfigUpdate.build(replace(current, sequence=current.sequence + 1), signers, time_us=now_us())
    await _post(forger, "/gateway/submit", update.to_bytes())


def _large(forger: Forger, size: int) -> bytes:
    return forger.made_up(forger.proposal("x" * size), forger.peer("peer1"), forger.peer("peer2"))


async def _later(envelope: bytes) -> bytes:
    return envelope


_foreign = PaperOrganisation("Org1MSP").issue("client", "client")
NO_TRANSACTION = f"/channels/{CHANNEL}/transactions/{'0' * 64}"
Request = Callable[[Forger], Awaitable[None]]
REFUSALS: list[tuple[str, Request, int, str]] = [
    ("no certificate", lambda f: _get_as_nobody(f, "peer1", "/channels"), 401, "CLIENT_CERTIFICATE_REQUIRED"),
    ("no certificate: orderer", lambda f: _get_as_nobody(f, "orderer1", "/status"), 401, "CLIENT_CERTIFICATE_REQUIRED"),
    # TLS itself breaks off: there is no HTTP answer, and the client says what it met.
    ("foreign certificate", lambda f: _get(f, "/channels", as_=_foreign), 503, "CONNECTION_FAILED"),
    ("foreign certificate: orderer", lambda f: _get(f, "/", node="orderer2", as_=_foreign), 503, "CONNECTION_FAILED"),
    (
        "expired certificate",
        lambda f: _get(f, "/channels", as_=f.certified("Org1", lifetime_s=60, age_s=120)),
        *(401, "CERTIFICATE_EXPIRED"),
    ),
    (
        "expired certificate: orderer",
        lambda f: _get(f, "/status", node="orderer1", as_=f.certified("Org1", lifetime_s=60, age_s=120)),
        *(401, "CERTIFICATE_EXPIRED"),
    ),
    (
        "not on the channel: endorse",
        lambda f: _by_another_organisation(f, "/gateway/endorse"),
        401,
        "UNKNOWN_AUTHORITY",
    ),
    (
        "not on the channel: evaluate",
        lambda f: _by_another_organisation(f, "/gateway/evaluate"),
        401,
        "UNKNOWN_AUTHORITY",
    ),
    ("not on the channel: order", _stranger_orders, 401, "UNKNOWN_AUTHORITY"),
    ("tampered proposal", _tampered_proposal, 401, "BAD_CREATOR_SIGNATURE"),
    ("tampered envelope", lambda f: _submit(f, _tampered_envelope(f)), 401, "BAD_CREATOR_SIGNATURE"),
    ("tampered envelope: orderer", lambda f: _order(f, _tampered_envelope(f)), 401, "BAD_CREATOR_SIGNATURE"),
    ("endorsement taken out", lambda f: _submit(f, _without_an_endorsement(f)), 401, "BAD_CREATOR_SIGNATURE"),
    ("signature with high s", lambda f: _submit(f, _malleable(f)), 401, "BAD_CREATOR_SIGNATURE"),
    ("stale proposal", lambda f: _endorse(f, f.proposal(age_s=400)), 400, "PROPOSAL_STALE"),
    ("proposal of the future", lambda f: _endorse(f, f.proposal(age_s=-400)), 400, "PROPOSAL_STALE"),
    (
        "stale proposal: orderer",
        lambda f: _order(f, _later(f.made_up(f.proposal(age_s=400), f.peer("peer1"), f.peer("peer2")))),
        *(400, "PROPOSAL_STALE"),
    ),
    (
        "proposal of someone else",
        lambda f: _endorse(f, f.proposal(), f.network.admin("Org1")),
        403,
        "PERMISSION_DENIED",
    ),
    ("wrong sequence", lambda f: _endorse(f, f.proposal(sequence=7)), 409, "CHAINCODE_SEQUENCE"),
    ("unknown chaincode", lambda f: _endorse(f, f.proposal(chaincode="none")), 404, "CHAINCODE_UNKNOWN"),
    ("unknown channel", lambda f: _endorse(f, f.proposal(channel="shard2")), 404, "CHANNEL_UNKNOWN"),
    ("no JSON", lambda f: _post(f, "/gateway/endorse", b"{"), 400, "MALFORMED_JSON"),
    ("no proposal", lambda f: _post(f, "/gateway/endorse", b"{}"), 400, "MALFORMED_MESSAGE"),
    ("no transaction", lambda f: _post(f, "/gateway/submit", b"[]"), 400, "MALFORMED_MESSAGE"),
    ("unknown wish", lambda f: _post(f, "/gateway/submit?wait=never", b"[]"), 400, "BAD_REQUEST"),
    ("a name twice", lambda f: _post(f, "/gateway/endorse", b'{"proposal":"","proposal":""}'), 400, "MALFORMED_JSON"),
    ("NaN", lambda f: _post(f, "/gateway/submit", b'{"proposal":NaN}'), 400, "MALFORMED_JSON"),
    ("oversized body", lambda f: _post(f, "/gateway/endorse", b"x" * 5_000_000), 413, "BODY_TOO_LARGE"),
    ("oversized body: orderer", lambda f: f.broadcast(b"x" * 34_000_000), 413, "BODY_TOO_LARGE"),
    ("oversized proposal", lambda f: _endorse(f, f.proposal("x" * 2_200_000)), 413, "ENVELOPE_TOO_LARGE"),
    ("oversized envelope", lambda f: _submit(f, _later(_large(f, 2_200_000))), 413, "ENVELOPE_TOO_LARGE"),
    ("oversized envelope: orderer", lambda f: _order(f, _later(_large(f, 2_200_000))), 413, "ENVELOPE_TOO_LARGE"),
    (
        "another channel's transaction",
        lambda f: _order(f, _later(f.made_up(f.proposal(channel="mainchain"), f.peer("peer1")))),
        *(400, "WRONG_CHANNEL"),
    ),
    ("block to come", lambda f: _get(f, "/channels/shard1/blocks/999999"), 404, "BLOCK_NOT_FOUND"),
    ("block without a number", lambda f: _get(f, "/channels/shard1/blocks/x"), 400, "BAD_REQUEST"),
    ("no such transaction", lambda f: _get(f, NO_TRANSACTION), 404, "TRANSACTION_NOT_FOUND"),
    ("status of none", lambda f: _get(f, f"{NO_TRANSACTION}/status"), 404, "TRANSACTION_NOT_FOUND"),
    ("wait for none", lambda f: _get(f, f"{NO_TRANSACTION}/status?wait_s=0.1"), 504, "TIMEOUT"),
    ("history of no key", lambda f: _get(f, "/channels/shard1/history/kv"), 400, "BAD_REQUEST"),
    ("no such channel", lambda f: _get(f, "/channels/none"), 404, "CHANNEL_UNKNOWN"),
    ("config update of a minority", lambda f: _config(f, 1), 403, "PERMISSION_DENIED"),
    ("config update of nobody: orderer", lambda f: _config(f, 0, at="orderer"), 403, "PERMISSION_DENIED"),
    ("config update of no admins", _wrong_signer, 403, "PERMISSION_DENIED"),
    ("config update that skips one", lambda f: _config(f, 2, skip=2), 400, "INVALID_CONFIG_UPDATE"),
    ("config update that expired", lambda f: _config(f, 2, age_s=8 * 86_400), 400, "INVALID_CONFIG_UPDATE"),
    ("package from a client", lambda f: _post(f, "/packages", b"x"), 403, "PERMISSION_DENIED"),
    ("Raft from a client", lambda f: _post(f, "/raft", b"x", node="orderer1"), 403, "PERMISSION_DENIED"),
    (
        "Raft from a peer",
        lambda f: _post(f, "/raft", b"x", node="orderer1", as_=f.peer("peer1")),
        403,
        "PERMISSION_DENIED",
    ),
    (
        "progress from a client",
        lambda f: _post(f, "/channels/shard1/progress", b"{}", node="orderer1"),
        403,
        "PERMISSION_DENIED",
    ),
]


@pytest.mark.parametrize(("request_", "status", "code"), [pytest.param(*row[1:], id=row[0]) for row in REFUSALS])
async def test_refused(forger: Forger, request_: Request, status: int, code: str) -> None:
    before = await forger.network.agree(CHANNEL)
    with pytest.raises(GridLedgerError) as caught:
        await request_(forger)
    assert (caught.value.status, caught.value.code) == (status, code), caught.value
    assert await forger.network.agree(CHANNEL) == before


# Transactions that the orderers take, since their client has signed them: (what, the envelope, the verdict)


async def _forged_endorsement(forger: Forger) -> bytes:
    made = await forger.endorsed()
    forged = endorse(made.result, forger.client, endorser=forger.peer("peer2"))
    return forger.envelope(made.proposal, made.result, [endorse(made.result, forger.peer("peer1")), forged])


async def _changed_after_endorsement(forger: Forger) -> bytes:
    made = await forger.endorsed("put", "key", 1)
    changed = Result.parse(made.result.text.replace('"key",1', '"key",2'))
    assert changed.hash != made.result.hash
    return forger.envelope(made.proposal, changed, made.endorsements)


async def _endorsed_with_high_s(forger: Forger) -> bytes:
    made = await forger.endorsed()
    first, second = made.endorsements
    return forger.envelope(
        made.proposal, made.result, [first, replace(second, signature=with_high_s(second.signature))]
    )


async def _result_moved(forger: Forger) -> bytes:
    made = await forger.endorsed()
    return forger.envelope(forger.proposal("other", 1).proposal, made.result, made.endorsements)


async def _endorsements_moved(forger: Forger) -> bytes:
    one, other = await forger.endorsed(), await forger.endorsed()
    return forger.envelope(other.proposal, other.result, one.endorsements)


async def _endorsed_by(forger: Forger, *names: str) -> bytes:
    made = await forger.endorsed()
    return forger.envelope(made.proposal, made.result, [endorse(made.result, forger.peer(name)) for name in names])


async def _endorsed_by_an_admin(forger: Forger) -> bytes:
    made = await forger.endorsed()
    admin = endorse(made.result, forger.network.admin("Org2"))
    return forger.envelope(made.proposal, made.result, [endorse(made.result, forger.peer("peer1")), admin])


async def _read_changed(forger: Forger) -> bytes:
    late = await forger.endorsed("add", "counter", 1)
    await forger.contract.submit_transaction("add", "counter", 1)
    return late.to_bytes()


async def _range_changed(forger: Forger) -> bytes:
    await forger.contract.submit_transaction("put", "range-a", 1)
    late = await forger.endorsed("range", "range-", "range-z")
    await forger.contract.submit_transaction("put", "range-b", 1)
    # The key that was read has not changed; a neighbour came.
    assert [read.key for read in late.result.ranges[0].reads] == ["range-a"]
    return late.to_bytes()


def _made_up(forger: Forger, *, status: int = 200, **proposal: object) -> Awaitable[bytes]:
    signed = forger.proposal(**proposal)  # type: ignore[arg-type]
    return _later(forger.made_up(signed, forger.peer("peer1"), forger.peer("peer2"), status=status))


Envelope = Callable[[Forger], Awaitable[bytes]]
VERDICTS: list[tuple[str, Envelope, Code]] = [
    ("forged endorsement", _forged_endorsement, Code.ENDORSEMENT_POLICY_FAILURE),
    ("changed after its endorsement", _changed_after_endorsement, Code.ENDORSEMENT_POLICY_FAILURE),
    ("endorsement with high s", _endorsed_with_high_s, Code.ENDORSEMENT_POLICY_FAILURE),
    ("endorsements of another result", _endorsements_moved, Code.ENDORSEMENT_POLICY_FAILURE),
    ("result of another proposal", _result_moved, Code.INVALID_ENDORSER_TRANSACTION),
    ("no endorsement", _endorsed_by, Code.ENDORSEMENT_POLICY_FAILURE),
    ("too few endorsements", lambda f: _endorsed_by(f, "peer1"), Code.ENDORSEMENT_POLICY_FAILURE),
    ("one peer twice", lambda f: _endorsed_by(f, "peer1", "peer1"), Code.ENDORSEMENT_POLICY_FAILURE),
    ("a peer of another channel", lambda f: _endorsed_by(f, "peer1", "peer3"), Code.ENDORSEMENT_POLICY_FAILURE),
    ("an admin for a peer", _endorsed_by_an_admin, Code.ENDORSEMENT_POLICY_FAILURE),
    ("sequence of the future", lambda f: _made_up(f, sequence=9), Code.CHAINCODE_VERSION_CONFLICT),
    ("unknown chaincode", lambda f: _made_up(f, chaincode="none"), Code.INVALID_CHAINCODE),
    ("a refusal that is endorsed", lambda f: _made_up(f, status=400), Code.BAD_RESPONSE_PAYLOAD),
    ("a key that was read has changed", _read_changed, Code.MVCC_READ_CONFLICT),
    ("a range that was read has changed", _range_changed, Code.PHANTOM_READ_CONFLICT),
    # The proof that what stands above is refused for its fault, and not for how it was sent.
    ("nothing wrong", lambda f: _endorsed_by(f, "peer1", "peer2"), Code.VALID),
]


@pytest.mark.parametrize(("envelope", "code"), [pytest.param(*row[1:], id=row[0]) for row in VERDICTS])
async def test_verdict(forger: Forger, envelope: Envelope, code: Code) -> None:
    body = await envelope(forger)
    async with forger.network.node("peer1", forger.client) as node:
        told = jsontext.loads(await node.post("/gateway/submit", body))
    assert told["code_name"] == code.name
    for peer in ("peer1", "peer2"):
        async with forger.network.node(peer) as node:
            path = f"/channels/{CHANNEL}/transactions/{told['tx_id']}/status"
            assert await node.get_json(path, params={"wait_s": "10"}) == told
        assert code.name in await forger.codes(peer, told["block"])
    await forger.network.agree(CHANNEL)
    if code is not Code.VALID:
        for key in ("made-up", "forged"):
            assert await forger.contract.evaluate_transaction("get", key) is None


async def test_arguments_that_read_in_two_ways_are_refused_by_peers(forger: Forger) -> None:
    """The orderer reads a proposal's head only, where the text has the usual form."""
    signed = forger.proposal("forged", {"twice": 1})
    text = signed.proposal.text.replace('{"twice":1}', '{"twice":1,"twice":2}')
    assert text != signed.proposal.text
    twofold = SignedProposal(replace(signed.proposal, text=text, tx_id=hash_of(text)), b"")
    envelope = forger.made_up(twofold, forger.peer("peer1"), forger.peer("peer2"))
    height, _ = await forger.network.agree(CHANNEL)
    await forger.broadcast(envelope)
    await forger.contract.submit_transaction("put", "behind-it", 1)
    after, _ = await forger.network.agree(CHANNEL)
    for peer in ("peer1", "peer2"):
        codes = [code for block in range(height, after) for code in await forger.codes(peer, block)]
        assert sorted(codes) == ["BAD_PAYLOAD", "VALID"]
    for key in ("made-up", "forged"):
        assert await forger.contract.evaluate_transaction("get", key) is None


async def test_an_event_of_any_depth_ends_no_peer(forger: Forger) -> None:
    """The committer reports a valid transaction's event; one of 62 levels that holds a null ended every peer."""
    height, _ = await forger.network.agree(CHANNEL)
    envelopes = []
    for depth in (MAX_VALUE_DEPTH, 61, 62, 63, 64, 200):
        payload: object = None
        for _ in range(depth):
            payload = [payload]
        made = forger.proposal().proposal
        result = Result.build(
            tx_id=made.tx_id,
            channel=made.channel,
            chaincode=made.chaincode,
            sequence=made.sequence,
            response=Response(200, "", None),
            event=Event("Deep", payload),
        )
        endorsements = [endorse(result, forger.peer(peer)) for peer in ("peer1", "peer2")]
        envelopes.append(forger.envelope(made, result, endorsements))
    await forger.broadcast(*envelopes)
    await forger.contract.submit_transaction("put", "after", 1)
    after, _ = await forger.network.agree(CHANNEL)
    for peer in ("peer1", "peer2"):
        codes = [code for block in range(height, after) for code in await forger.codes(peer, block)]
        assert codes == ["VALID", "VALID", *["BAD_PAYLOAD"] * 4, "VALID"]


async def test_replayed_transaction(forger: Forger) -> None:
    """The gateway tells the first verdict again; past it, the copy is on the chain and without effect."""
    transaction = await forger.endorsed("add", "replayed", 1)
    envelope = transaction.to_bytes()
    signature = forger.client.sign(transaction.proposal.text.encode())
    async with forger.network.node("peer1", forger.client) as node:
        first = jsontext.loads(await node.post("/gateway/submit", envelope))
        height, _ = await forger.network.agree(CHANNEL)
        assert jsontext.loads(await node.post("/gateway/submit", envelope)) == first
        assert (await forger.network.agree(CHANNEL))[0] == height
        with pytest.raises(GridLedgerError) as caught:
            await node.post("/gateway/endorse", SignedProposal(transaction.proposal, signature).to_bytes())
        assert (caught.value.status, caught.value.code) == (409, "DUPLICATE_TXID")
    await forger.broadcast(envelope, envelope)
    after, _ = await forger.network.agree(CHANNEL)
    for peer in ("peer1", "peer2"):
        codes = [code for block in range(height, after) for code in await forger.codes(peer, block)]
        assert codes == ["DUPLICATE_TXID", "DUPLICATE_TXID"]
    assert await forger.contract.evaluate_transaction("get", "replayed") == 1
    assert (await forger.gateway.get_network(CHANNEL).get_status(transaction.tx_id)).code is Code.VALID


async def test_unreadable_envelopes_harm_no_other_client(forger: Forger) -> None:
    """12 clients' transactions go through, beside an X.509 v2 certificate and a member of another name: in one batch to
    the orderer, and through one gateway at the same time."""
    old = replace(forger.client.certificate, der=of_version_2(forger.client.certificate.der))
    proposal = forger.proposal(signer=SigningIdentity(old, forger.client.private_key, forger.client.mspid))
    unreadable = forger.made_up(proposal, forger.peer("peer1"), forger.peer("peer2"))
    renamed = (await forger.endorsed()).to_bytes().replace(b',"signature":"', b',"signed":"')
    good = [await forger.endorsed() for _ in range(12)]

    async with forger.network.node(await forger.network.leader(CHANNEL), forger.client) as orderer:
        batch = framing.pack([unreadable, *(item.to_bytes() for item in good[:6]), renamed])
        results = jsontext.loads(await orderer.post(f"/channels/{CHANNEL}/broadcast", batch))["results"]
    assert [result["status"] for result in results] == [400, *[200] * 6, 400]
    assert [results[0]["code"], results[-1]["code"]] == ["MALFORMED_CERTIFICATE", "MALFORMED_MESSAGE"]

    async with forger.network.node("peer1", forger.client) as node:
        sent = (unreadable, *(item.to_bytes() for item in good[6:]), renamed, unreadable)
        answers = await asyncio.gather(*(node.post("/gateway/submit", item) for item in sent), return_exceptions=True)
    codes = [
        jsontext.loads(item)["code_name"] if isinstance(item, bytes) else getattr(item, "code", item)
        for item in answers
    ]
    assert codes == ["MALFORMED_CERTIFICATE", *["VALID"] * 6, "MALFORMED_MESSAGE", "MALFORMED_CERTIFICATE"]
    for item in good:
        status = await forger.gateway.get_network(CHANNEL).get_status(item.tx_id, wait_s=10)
        assert status.code is Code.VALID
    await forger.network.agree(CHANNEL)
