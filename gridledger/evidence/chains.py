"""A channel's blocks in a package: what follows from its block 0, its configurations and the orderers' signatures.

Of each block is verified: that an orderer of the channel, under the configuration of that time, has signed its header;
that its envelopes are those of the header; and the commit hash after it is computed from the commit hash before, the
codes, and what the valid transactions wrote. What that commit hash is worth, the anchors say.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gridledger.errors import GridLedgerError
from gridledger.evidence.package import BlockPart, ChannelPart, block_file, chain_file
from gridledger.evidence.report import Broken
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import IdentityError
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.commit_hash import commit_hash
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate, is_config_block, verify_update
from gridledger.protocol.effects import updates_of
from gridledger.protocol.header_signer import named_orderer


@dataclass(frozen=True, slots=True)
class VerifiedBlock:
    """A block, its codes, the commit hash after it as computed from them, and the configuration in force for it."""

    block: Block
    codes: tuple[TxValidationCode, ...]
    commit_hash: str
    config: ChannelConfig
    file: str


@dataclass(frozen=True, slots=True)
class VerifiedChannel:
    """The verified blocks of a channel by number, and its configurations by the block that brought each."""

    name: str
    blocks: Mapping[int, VerifiedBlock]
    configs: Sequence[tuple[int, ChannelConfig]]

    def config_at(self, number: int) -> ChannelConfig:
        """The configuration in force for block ``number``, as the package has them; for block 0 its own."""
        numbers = [item for item, _ in self.configs]
        return self.configs[max(0, bisect_left(numbers, number) - 1)][1]


Roots = Mapping[str, frozenset[str]]
"""Fingerprints of the root certificates that are trusted, by MSP id."""


def read_roots(roots: Mapping[str, Sequence[str]]) -> Roots:
    """From PEM texts, one certificate each; raises MalformedCertificate."""
    return {mspid: frozenset(Certificate.from_pem(pem).fingerprint for pem in pems) for mspid, pems in roots.items()}


def verify_chain(name: str, part: ChannelPart, genesis: str, roots: Roots) -> VerifiedChannel:
    """Verify a channel's blocks from block 0 on, whose header must have the hash ``genesis``; :class:`Broken`."""
    configs: list[tuple[int, ChannelConfig]] = []
    blocks: dict[int, VerifiedBlock] = {}
    before: Block | None = None
    for number, item in sorted(part.blocks.items()):
        file = block_file(name, number)
        _check_place(name, item, before, file)
        if before is None:
            config = following = _genesis_config(name, item, genesis, file)
        else:
            config = configs[-1][1]
            _check_signature(item, config, file)
            following = _following(item, config, file)
        if following is not config or before is None:
            _check_roots(following, roots, file)
            configs.append((number, following))
        blocks[number] = VerifiedBlock(item.block, item.codes, _commit_hash(name, item, file), config, file)
        _check_link(name, blocks.get(number - 1), item)
        before = item.block
    return VerifiedChannel(name, blocks, configs)


def genesis_of(name: str, part: ChannelPart) -> str:
    """The header hash of the block 0 in the package; :class:`Broken` where it has none."""
    if 0 not in part.blocks:
        raise Broken("configurations", block_file(name, 0), "it is missing: a channel is verified from its block 0 on")
    return part.blocks[0].block.header.hash


def _check_place(name: str, item: BlockPart, before: Block | None, file: str) -> None:
    header = item.block.header
    if header.channel != name:
        raise Broken("blocks", file, f"it is a block of {header.channel!r:.80}")
    if not item.block.data_hash_holds():
        raise Broken("blocks", file, "its transactions are not those of its header")
    if len(item.codes) != len(item.block.envelopes):
        raise Broken("blocks", chain_file(name), f"block {header.number} has another count of transactions than codes")
    if before is None:
        return
    if header.timestamp_us < before.header.timestamp_us:
        raise Broken("blocks", file, f"it is dated before block {before.header.number}")
    if before.header.number + 1 == header.number and header.previous_hash != before.header.hash:
        raise Broken("blocks", file, f"it does not continue block {before.header.number}")


def _check_link(name: str, before: VerifiedBlock | None, item: BlockPart) -> None:
    if before is not None and before.commit_hash != item.previous_commit_hash:
        number = item.number
        raise Broken(
            "commit hashes", chain_file(name), f"the commit hash before block {number} is not that after {number - 1}"
        )


def _genesis_config(name: str, item: BlockPart, genesis: str, file: str) -> ChannelConfig:
    header = item.block.header
    if header.number != 0:
        raise Broken("configurations", block_file(name, 0), "it is missing: a channel is verified from block 0 on")
    if header.hash != genesis:
        raise Broken("genesis", file, f"its header's hash is {header.hash}, and {genesis} is trusted")
    if header.previous_hash != ZERO_HASH or item.previous_commit_hash != ZERO_HASH or item.signature is not None:
        raise Broken("genesis", file, "a block 0 has nothing before it, and is signed by nobody")
    if item.codes != (TxValidationCode.VALID,):
        raise Broken("genesis", file, "a block 0 holds one valid transaction")
    try:
        config = ConfigUpdate.parse(item.block.envelopes[0]).config
    except GridLedgerError as error:
        raise Broken("genesis", file, f"it holds no configuration: {error.message}") from None
    if config.channel != name:
        raise Broken("genesis", file, f"it holds the configuration of {config.channel!r:.80}")
    return config


def _following(item: BlockPart, config: ChannelConfig, file: str) -> ChannelConfig:
    """The configuration after a block: the one before, unless a valid config transaction brings another."""
    if not is_config_block(item.block) or item.codes != (TxValidationCode.VALID,):
        return config
    try:
        update = ConfigUpdate.parse(item.block.envelopes[0])
        return verify_update(config, update, item.block.header.timestamp_us)
    except GridLedgerError as error:
        raise Broken("configurations", file, f"it does not follow from the one before: {error.message}") from None


def _check_roots(config: ChannelConfig, roots: Roots, file: str) -> None:
    for mspid, msp in config.msps.msps.items():
        trusted = roots.get(mspid)
        if trusted is None:
            raise Broken("roots", file, f"the channel has the organisation {mspid}, of which no root is trusted")
        unknown = [root.common_name for root in msp.roots if root.fingerprint not in trusted]
        if unknown:
            raise Broken("roots", file, f"the root {unknown[0]!r:.80} of {mspid} is not among those that are trusted")


def _check_signature(item: BlockPart, config: ChannelConfig, file: str) -> None:
    header, signature = item.block.header, item.signature
    if signature is None:
        raise Broken("signatures", file, "no orderer has signed its header")
    try:
        named = named_orderer(header, signature, config)
    except IdentityError as error:
        raise Broken("signatures", file, error.message) from None
    if named is None:
        raise Broken("signatures", file, "its header is signed by no orderer of the channel at that time")
    node, certificate = named
    if not certificate.verify(signature.signature, header.text.encode()):
        raise Broken("signatures", file, f"the signature of {node.name} under its header is not genuine")


def _commit_hash(name: str, item: BlockPart, file: str) -> str:
    header = item.block.header
    try:
        updates = updates_of(item.block, item.codes)
    except GridLedgerError as error:
        raise Broken("commit hashes", file, f"a transaction said to be valid cannot be read: {error.message}") from None
    return commit_hash(item.previous_commit_hash, header.number, header.hash, item.codes, updates)
