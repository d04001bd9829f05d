"""A transaction's proof, step by step: each one computed here, from what a peer gave, and told in words.

The steps are those of :func:`gridledger.client.proofs.verify_header` and of validation, one by one, so that a reader
sees what holds and what does not. What no single peer's answer can show (the validation code) is told as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gridledger.errors import GridLedgerError
from gridledger.identity.errors import IdentityError
from gridledger.protocol import merkle
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.fields import hash_of
from gridledger.protocol.header_signer import named_orderer
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.result import endorsement_text
from gridledger.protocol.transaction import Transaction, signing_text


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was looked at, whether it holds (None: it cannot be told here), and what was found."""

    title: str
    holds: bool | None
    found: str


def proof_steps(proved: ProvedTransaction, config: ChannelConfig, transaction: Transaction | None) -> list[Step]:
    """The steps for a transaction under the channel's present configuration; ``transaction`` is its envelope read, None
    for a config transaction or one that cannot be read."""
    steps = [*_path(proved), _signature(proved, config)]
    if transaction is not None:
        steps += [_id(transaction), _client(transaction, proved, config), *_endorsers(transaction, proved, config)]
    steps.append(_code(proved))
    return steps


def _path(proved: ProvedTransaction) -> Iterator[Step]:
    leaf = merkle.leaf_hash(proved.envelope).hex()
    yield Step("leaf of the envelope", True, f"SHA-256(0x00, {len(proved.envelope)} bytes) = {leaf}")
    names = " → ".join(sibling.hex()[:12] for sibling in proved.siblings) or "none: it is alone in its block"
    root = merkle.root_from_path(proved.envelope, proved.index, proved.count, proved.siblings)
    told = "no tree has this path" if root is None else root.hex()
    yield Step(f"path of {len(proved.siblings)} hashes to the root", root is not None, f"{names}; root {told}")
    equal = root is not None and root.hex() == proved.header.data_hash
    yield Step("root is the header's data hash", equal, proved.header.data_hash)


def _signature(proved: ProvedTransaction, config: ChannelConfig) -> Step:
    title, header, signature = "header signed by an orderer", proved.header, proved.signature
    if header.number == 0:
        return Step(title, None, "nobody signs block 0: it is what its hash is known to be")
    if signature is None:
        return Step(title, False, "there is no signature")
    named = named_orderer(header, signature, config)
    if named is None:
        return Step(title, None, f"{signature.orderer[:16]}… is no orderer of the present configuration")
    node, certificate = named
    holds = certificate.verify(signature.signature, header.text.encode())
    return Step(title, holds, f"{node.name} of {node.mspid}, certificate {certificate.fingerprint[:16]}…")


def _id(transaction: Transaction) -> Step:
    return Step(
        "id is the SHA-256 of the proposal",
        transaction.tx_id == hash_of(transaction.proposal.text) == transaction.result.tx_id,
        transaction.tx_id,
    )


def _client(transaction: Transaction, proved: ProvedTransaction, config: ChannelConfig) -> Step:
    title = "client's signature"
    try:
        certificate = transaction.proposal.certificate()
        text = signing_text(transaction.tx_id, transaction.result.hash, hash_of(transaction.endorsements_text))
        holds = certificate.verify(transaction.signature, text)
        identity = config.msps.identify(certificate, proved.header.timestamp_us)
    except IdentityError as error:
        return Step(title, False, f"{error.message} (by the present configuration)")
    except GridLedgerError as error:
        return Step(title, False, error.message)
    return Step(title, holds, f"{identity.role} {identity.name} of {identity.mspid}, issued by its CA, not revoked")


def _endorsers(transaction: Transaction, proved: ProvedTransaction, config: ChannelConfig) -> Iterator[Step]:
    peers = config.peers_by_fingerprint
    signed: dict[tuple[str, str], str] = {}  # one for each signer, under whichever certificate, as validation counts
    unknown = False
    for item in transaction.endorsements:
        node = peers.get(item.endorser)
        if node is None:
            yield Step("endorsement", None, f"{item.endorser[:16]}… is no peer of the present configuration")
            unknown = True
            continue
        certificate = node.certificate_with(item.endorser)
        try:
            config.msps.identify(certificate, proved.header.timestamp_us)
            holds = certificate.verify(item.signature, endorsement_text(item.endorser, transaction.result.hash))
        except GridLedgerError as error:
            yield Step(f"endorsement of {node.name}", False, error.message)
            continue
        if holds:
            signed[node.mspid, certificate.subject] = node.mspid
        yield Step(f"endorsement of {node.name}", holds, f"{node.mspid}, issued by its CA, not revoked")
    chaincode = transaction.proposal.chaincode
    if chaincode not in config.chaincodes:
        yield Step("endorsement policy", None, f"the channel has no chaincode {chaincode} now")
        return
    policy = config.endorsement_policy(chaincode)
    organisations = ", ".join(sorted(set(signed.values()))) or "nobody"
    enough = policy.satisfied_by([(mspid, "peer") for mspid in signed.values()])
    more = ", and by peers that are not known now" if unknown else ""
    # Without them it is not enough: whether it was with them, the present configuration does not tell.
    yield Step(
        "endorsement policy",
        enough or (None if unknown else False),
        f"{policy.text}: endorsed by {organisations}{more}",
    )


def _code(proved: ProvedTransaction) -> Step:
    return Step(
        "validation code",
        None,
        f"{proved.code.name} is what this peer says: it stands in no header. 'Ask all peers' compares what they say",
    )
