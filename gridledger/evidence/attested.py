"""Anchors in a package: heads of a channel's tree that most of its organisations attest on the anchoring channel.

What an agent says is its own: the transaction ``Attest`` under its signature, or a statement in a transaction
``Cosign``, signed with the key of the certificate under which the agent has put itself on record. Either is endorsed as
the contract's policy asks, in a block that an orderer signed. The record of the channel's organisations and of its
block 0, and those of the agents, are found by what the transaction read: the version of a key in its result names the
transaction that wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridledger.evidence import anchor
from gridledger.evidence.chains import VerifiedBlock, VerifiedChannel
from gridledger.evidence.package import AnchorPart, BlockPart, ChannelPart, chain_file
from gridledger.evidence.report import Broken
from gridledger.evidence.signed import SignedTransaction, signed_transaction
from gridledger.identity.certificate import Certificate
from gridledger.protocol import merkle
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.result import Version
from gridledger.protocol.statements import Head, statement_text
from gridledger.protocol.transaction import Transaction

STEP: Final = "anchors"
ATTESTING: Final = ("Attest", "Cosign")
"""Functions of the contract by which organisations say what a channel's head is."""
_SIZE_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Attestation:
    """What one organisation said of a channel at a size, and the record of the channel that it was judged by."""

    mspid: str
    said: Mapping[str, Any]
    genesis: str
    organisations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifiedAnchor:
    """A head that a majority attests. ``organisations`` said it, ``needed`` are a majority."""

    size: int
    root: bytes
    organisations: tuple[str, ...]
    needed: int


def read_attestations(name: str, part: ChannelPart, anchoring: VerifiedChannel, chaincode: str) -> list[Attestation]:
    """What the transactions say that the anchors of a channel name, the first anchor's first; :class:`Broken`."""
    found: list[Attestation] = []
    for item in part.anchors:
        for block, index in item.attests:
            signed = signed_transaction(anchoring, block, index, STEP)
            function = signed.transaction.proposal.function
            if signed.transaction.proposal.chaincode != chaincode or function not in ATTESTING:
                told = f"transaction {index} is no Attest and no Cosign of the chaincode {chaincode}"
                raise Broken(STEP, signed.block.file, told)
            read = _attestation if function == "Attest" else _cosigned
            found += read(name, item, signed, anchoring, chaincode)
    return found


def round_of(transaction: Transaction, channel: str) -> dict[str, Any] | None:
    """The round of a channel in a transaction ``Cosign``; None where there is none."""
    said = _argument(transaction)
    rounds = said.get("rounds")
    found = [one for one in rounds if isinstance(one, dict)] if isinstance(rounds, list) else []
    return next((one for one in found if one.get("channel") == channel), None)


def statements_of(cosigned: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Who signed what in a round of ``Cosign``: (MSP id, signature, head). What has another form is left out."""
    heads = cosigned.get("heads")
    for head in heads if isinstance(heads, list) else ():
        signatures = head.get("signatures") if isinstance(head, dict) else None
        for one in signatures if isinstance(signatures, list) else ():
            mspid, signature = (one.get("mspid"), one.get("signature")) if isinstance(one, dict) else (None, None)
            if isinstance(mspid, str) and isinstance(signature, str):
                yield mspid, signature, head


def _argument(transaction: Transaction) -> dict[str, Any]:
    args = transaction.proposal.args
    return args[0] if len(args) == 1 and isinstance(args[0], dict) else {}


def _attestation(
    name: str, item: AnchorPart, signed: SignedTransaction, anchoring: VerifiedChannel, chaincode: str
) -> list[Attestation]:
    said = _argument(signed.transaction)
    if (said.get("channel"), said.get("size"), said.get("root")) != (name, item.size, item.root):
        told = f"transaction {signed.index} does not attest the head {item.root[:16]} of {name} at {item.size} blocks"
        raise Broken(STEP, signed.block.file, told)
    record = _members(name, signed, anchoring, chaincode)
    return [Attestation(signed.caller.mspid, said, record["genesis"], tuple(record["organisations"]))]


def _cosigned(
    name: str, item: AnchorPart, signed: SignedTransaction, anchoring: VerifiedChannel, chaincode: str
) -> list[Attestation]:
    """The statements of a Cosign that say this head; those that the contract did not count are left out."""
    cosigned = round_of(signed.transaction, name)
    if cosigned is None or cosigned.get("size") != item.size or not isinstance(cosigned.get("base"), int):
        told = f"transaction {signed.index} has no statements of {name} at {item.size} blocks"
        raise Broken(STEP, signed.block.file, told)
    record = _members(name, signed, anchoring, chaincode)
    found = []
    for mspid, signature, head in statements_of(cosigned):
        key = attestation_key(name, item.size, mspid)
        if head.get("root") != item.root or value_written(signed, chaincode, key) is None:
            continue
        if not all(isinstance(head.get(field), str) for field in Head._fields):
            raise Broken(STEP, signed.block.file, f"what {mspid} signed in transaction {signed.index} is no head")
        text = statement_text(anchoring.name, name, item.size, cosigned["base"], head)
        if not _key_of_agent(mspid, signed, anchoring, chaincode).verify(_bytes(signature), text):
            told = f"the statement of {mspid} in transaction {signed.index} is not signed with its agent's key"
            raise Broken(STEP, signed.block.file, told)
        said = {"channel": name, "size": item.size, **{field: head[field] for field in Head._fields}}
        found.append(Attestation(mspid, said, record["genesis"], tuple(record["organisations"])))
    return found


def attestation_key(channel: str, size: int, mspid: str) -> str:
    """Where the contract keeps what an organisation says of a size."""
    return f"attest/{channel}/{size:0{_SIZE_DIGITS}d}/{mspid}"


def _key_of_agent(mspid: str, signed: SignedTransaction, anchoring: VerifiedChannel, chaincode: str) -> Certificate:
    """The certificate under which an organisation's agent was on record when a transaction was endorsed."""
    key = f"agent/{mspid}"
    writer = _writer_of(key, signed, anchoring)
    record = value_written(writer, chaincode, key)
    if writer.caller.mspid != mspid or not isinstance(record, dict) or not isinstance(record.get("key"), str):
        raise Broken(STEP, writer.block.file, f"transaction {writer.index} did not put the agent of {mspid} on record")
    return writer.caller.certificate


def _writer_of(key: str, signed: SignedTransaction, anchoring: VerifiedChannel) -> SignedTransaction:
    """Which transaction wrote what another one read at a key."""
    version = next((read.version for read in signed.transaction.result.reads if read.key == key), None)
    if version is None:
        raise Broken(STEP, signed.block.file, f"transaction {signed.index} did not read {key}")
    return written_at(anchoring, version, STEP)


def _bytes(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _members(name: str, signed: SignedTransaction, anchoring: VerifiedChannel, chaincode: str) -> dict[str, Any]:
    """The record of the channel's organisations and block 0 that an attestation was judged by."""
    key = f"members/{name}"
    writer = _writer_of(key, signed, anchoring)
    record = value_written(writer, chaincode, key)
    if not isinstance(record, dict) or not isinstance(record.get("genesis"), str):
        raise Broken(STEP, writer.block.file, f"transaction {writer.index} did not write the record of {name}")
    names = record.get("organisations")
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise Broken(STEP, writer.block.file, f"the record of {name} names no organisations")
    return record


def written_at(channel: VerifiedChannel, version: Version, step: str) -> SignedTransaction:
    """The transaction that wrote the version of a key, its signatures verified."""
    return signed_transaction(channel, version.block, version.transaction, step)


def value_written(signed: SignedTransaction, chaincode: str, key: str) -> Any:
    """What a transaction of a chaincode wrote at a key; None where it did not write it."""
    result = signed.transaction.result
    return (
        next((value for name, value in result.writes if name == key), None) if result.chaincode == chaincode else None
    )


def genesis_by(attestations: list[Attestation], name: str) -> str:
    """The hash of the channel's block 0 that all attestations were judged by."""
    found = sorted({item.genesis for item in attestations})
    if len(found) != 1:
        raise Broken(STEP, chain_file(name), f"its anchors were judged by different blocks 0: {', '.join(found)}")
    return found[0]


def verify_anchors(
    part: ChannelPart, channel: VerifiedChannel, attestations: list[Attestation]
) -> list[VerifiedAnchor]:
    """The anchors of a channel, each attested by a majority of its organisations at that height and consistent with the
    one before; :class:`Broken`."""
    file = chain_file(channel.name)
    by_size: dict[int, list[Attestation]] = {}
    for each in attestations:
        by_size.setdefault(each.said["size"], []).append(each)
    known = {config.peer_organisations for _, config in channel.configs}
    anchors: list[VerifiedAnchor] = []
    for item in part.anchors:
        said = by_size.get(item.size, [])
        for each in said:
            _check_head(each, channel.blocks.get(item.size - 1))
            if each.organisations not in known:
                told = f"{each.mspid} attested by a record of organisations that {channel.name} never had"
                raise Broken(STEP, file, f"{told}: {', '.join(each.organisations)}")
        found = _majority(item, said, channel.config_at(item.size), file)
        _check_consistent(anchors[-1] if anchors else None, item, file)
        anchors.append(found)
    return anchors


def _majority(item: AnchorPart, said: list[Attestation], config: ChannelConfig, file: str) -> VerifiedAnchor:
    if len({tuple(each.said.get(field) for field in Head._fields) for each in said}) > 1:
        raise Broken(STEP, file, f"the head at {item.size} blocks is attested with different hashes")
    organisations = config.peer_organisations
    names = tuple(sorted({each.mspid for each in said} & set(organisations)))
    needed = len(organisations) // 2 + 1
    if len(names) < needed:
        told = (
            f"the head at {item.size} blocks is attested by {', '.join(names) or 'none'} of {', '.join(organisations)}"
        )
        raise Broken(STEP, file, f"{told}; {needed} are needed")
    return VerifiedAnchor(item.size, bytes.fromhex(item.root), names, needed)


def _check_head(item: Attestation, last: VerifiedBlock | None) -> None:
    """The newest block of the tree, where the package has it, must be the one attested."""
    if last is None:
        return
    if (item.said.get("header_hash"), item.said.get("commit_hash")) != (last.block.header.hash, last.commit_hash):
        raise Broken(STEP, last.file, f"{item.mspid} attested another block with other codes at this height")


def _check_consistent(before: VerifiedAnchor | None, item: AnchorPart, file: str) -> None:
    if before is None:
        if item.consistency:
            raise Broken("consistency", file, "its first anchor has a proof that it continues another")
        return
    root = bytes.fromhex(item.root)
    if not merkle.consistency_holds(before.size, before.root, item.size, root, item.consistency):
        told = f"the tree of {item.size} blocks is not shown to begin with the anchored one of {before.size}"
        raise Broken("consistency", file, told)


def verify_path(channel: VerifiedChannel, part: BlockPart, anchors: list[VerifiedAnchor]) -> int | None:
    """The size of the anchor that binds a block and its codes; None where it is not anchored yet. :class:`Broken`.

    A block that an anchor of the package covers must have its path.
    """
    number, path, held = part.number, part.path, channel.blocks[part.number]
    covering = next((item for item in anchors if item.size > number), None)
    if covering is None:
        if path is not None:
            raise Broken("paths", chain_file(channel.name), f"block {number} has a path to no anchor of the package")
        return None
    if path is None or path.size != covering.size:
        told = f"block {number} has no path to the anchor at {covering.size} blocks, the first that covers it"
        raise Broken("paths", chain_file(channel.name), told)
    leaf = anchor.leaf(held.block.header.text, held.commit_hash)
    if merkle.root_from_path(leaf, number, covering.size, path.hashes) != covering.root:
        told = f"the anchor at {covering.size} blocks has another block {number}, or the same with other codes"
        raise Broken("paths", held.file, f"{told} or other updates")
    return covering.size
