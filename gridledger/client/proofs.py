"""Proofs that a transaction is on a channel's chain, and with which validation code, which hold though some peers lie.

One peer's answer proves what orderers have signed and nothing else: validation codes are in no header. So all peers of
the channel that the client knows are asked, each over TLS that nobody but it can answer. What counts is what peers of
a majority of the organisations say alike; an answer that contradicts itself counts as none, and is named.

Of an answer is verified: that the id is that of the envelope, that the Merkle path leads from the envelope to the
header's data hash, that the header is of this channel and block, and that an orderer of the channel has signed it under
a configuration that the client trusts: one that it was given, or the present one as that majority tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from gridledger.client.profile import ConnectionProfile
from gridledger.client.queries import read_config, read_transaction
from gridledger.errors import GridLedgerError, NotFoundError, SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import BlockHeader, HeaderSignature
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.config_update import CONFIG_PREFIX
from gridledger.protocol.fields import hash_of
from gridledger.protocol.header_signer import named_orderer
from gridledger.protocol.proof import ProvedTransaction
from gridledger.transport.node_client import NodeClient
from gridledger.transport.pins import Dialled, peers_of

MAX_PEERS = 100
TIMEOUT_S = 10.0

_T = TypeVar("_T")


class NotProved(GridLedgerError):
    """A transaction, or its code, could not be proved. ``details.peers`` says why, peer by peer."""

    code = "NOT_PROVED"
    status = 502


class ChannelTrust(NamedTuple):
    """What a client knows of a channel and trusts: its peers by name, and configurations that hold or held there."""

    channel: str
    peers: Mapping[str, Dialled]
    configs: tuple[ChannelConfig, ...] = ()

    @classmethod
    def by_profile(
        cls, profile: ConnectionProfile, channel: str, configs: Iterable[ChannelConfig] = ()
    ) -> ChannelTrust:
        """The channel's peers in a connection profile. ``configs``: trusted besides, such as the genesis block's."""
        entry = profile.channels.get(channel)
        if entry is None:
            raise NotFoundError(f"there is no channel {channel!r}; there are: {', '.join(profile.channels) or 'none'}")
        return cls(channel, {name: profile.way_to(name) for name in entry.peers}, tuple(configs))

    @classmethod
    def by_config(cls, config: ChannelConfig, earlier: Iterable[ChannelConfig] = ()) -> ChannelTrust:
        """The peers of a configuration that is trusted, at their addresses in it; ``earlier`` ones are trusted too."""
        return cls(config.channel, peers_of(config), (config, *earlier))


@dataclass(frozen=True, slots=True)
class TransactionProof:
    """A transaction that is proved. ``orderer`` is the node that signed the header (None: block 0, which nobody signs).

    ``organisations`` (MSP ids) vouch for the validation code, and for the header; a majority was ``needed``. ``others``
    are peers that do not vouch for it, and why: one that lies is among them, and one that was not reached.
    """

    transaction: ProvedTransaction
    orderer: Node | None
    organisations: tuple[str, ...]
    needed: int
    others: Mapping[str, str] = field(default_factory=dict)


async def prove_transaction(
    trust: ChannelTrust, identity: SigningIdentity, tx_id: str, *, timeout_s: float = TIMEOUT_S
) -> TransactionProof:
    """Prove a transaction to ``identity``, a reader of the channel, by asking all peers that ``trust`` names.

    Raises :class:`NotProved`, or the :class:`NotFoundError` that the peers of a majority gave.
    """
    peers, members = _askable(trust)
    answers = await _ask_all(peers, identity, trust.channel, tx_id, timeout_s)
    needed = len(members) // 2 + 1
    reasons = {name: answer.message for name, answer in answers.items() if isinstance(answer, GridLedgerError)}
    told = {name: answer for name, answer in answers.items() if not isinstance(answer, GridLedgerError)}
    present = _majority({name: config.text for name, (config, _) in told.items()}, peers, needed)
    configs = list(trust.configs)
    if present is not None:
        config = next(config for config, _ in told.values() if config.text == present[0])
        configs.insert(0, config)
        needed = max(needed, len(config.peer_organisations) // 2 + 1)
    signers: dict[str, Node | None] = {}
    for name, (_, found) in told.items():
        try:
            signers[name] = verify_header(found, trust.channel, configs)
        except NotProved as refusal:
            reasons[name] = refusal.message
    votes = {name: _statement(told[name][1]) for name in signers}
    agreed = _majority(votes, peers, needed)
    if agreed is None:
        raise _unknown(answers, peers, needed) or _refusal(tx_id, reasons, votes, needed)
    statement, organisations = agreed
    name = next(name for name, vote in votes.items() if vote == statement)
    others = reasons | {other: _shown(vote) for other, vote in votes.items() if vote != statement}
    return TransactionProof(told[name][1], signers[name], organisations, needed, others)


def verify_header(found: ProvedTransaction, channel: str, configs: Sequence[ChannelConfig]) -> Node | None:
    """The orderer that has signed the header of a transaction's block under one of these configurations; None for block
    0, which nobody signs: it is what they say it is who vouch for it.

    Raises :class:`NotProved`. Whether the path leads to the header is for ``found.holds()`` to say.
    """
    header, signature = found.header, found.signature
    if header.channel != channel or header.number != found.block:
        raise NotProved(f"its header is not of block {found.block} of {channel}")
    if header.number == 0:
        if found.count != 1 or not found.envelope.startswith(CONFIG_PREFIX):
            raise NotProved("block 0 holds a configuration and nothing else")
        return None
    return signer_of(header, signature, channel, configs)


def signer_of(
    header: BlockHeader, signature: HeaderSignature | None, channel: str, configs: Sequence[ChannelConfig]
) -> Node:
    """The orderer that has signed a header, of a block other than 0, under one of these configurations.

    Raises :class:`NotProved`.
    """
    if signature is None:
        raise NotProved(f"block {header.number} is signed by nobody")
    for config in configs:
        named = named_orderer(header, signature, config)
        if named is None:
            continue
        node, certificate = named
        if certificate.verify(signature.signature, header.text.encode()):
            return node
        raise NotProved(f"the signature of {node.name} under the header of block {header.number} is not genuine")
    raise NotProved(
        f"block {header.number} is signed by {signature.orderer}, which is no orderer of {channel} under a trusted "
        "configuration; give the one of that time"
    )


def _askable(trust: ChannelTrust) -> tuple[Mapping[str, Dialled], frozenset[str]]:
    """The peers that can be told from others, and the organisations that count."""
    if not trust.peers or len(trust.peers) > MAX_PEERS:
        raise SettingsError(f"a proof asks 1 to {MAX_PEERS} peers of {trust.channel}, not {len(trust.peers)}")
    unknown = [name for name, peer in trust.peers.items() if not peer.mspid or peer.pin is None]
    if unknown:
        raise SettingsError(
            f"nothing tells {', '.join(unknown)} from others: the connection profile needs the root of each peer's "
            "organisation ('organisation_roots'), which gridledger up writes into new ones"
        )
    return trust.peers, frozenset(peer.mspid for peer in trust.peers.values())


async def _ask_all(
    peers: Mapping[str, Dialled], identity: SigningIdentity, channel: str, tx_id: str, timeout_s: float
) -> dict[str, tuple[ChannelConfig, ProvedTransaction] | GridLedgerError]:
    async def ask(peer: Dialled) -> tuple[ChannelConfig, ProvedTransaction] | GridLedgerError:
        try:
            async with asyncio.timeout(timeout_s), NodeClient.to(peer, identity) as node:
                config = await read_config(node, channel)
                return config, await read_transaction(node, channel, tx_id)
        except GridLedgerError as error:
            return error
        except TimeoutError:
            return NotProved(f"no answer within {timeout_s} s")

    answers = await asyncio.gather(*map(ask, peers.values()))
    return dict(zip(peers, answers, strict=True))


def _statement(found: ProvedTransaction) -> tuple[Any, ...]:
    """What peers must say alike. The header's text names channel, block and, by its data hash, the envelopes."""
    return found.header.text, found.index, found.count, found.code


def _shown(statement: tuple[Any, ...]) -> str:
    header, index, count, code = statement
    return f"{code.name} at position {index} of {count} under the header {hash_of(header)[:16]}"


def _majority(votes: Mapping[str, _T], peers: Mapping[str, Dialled], needed: int) -> tuple[_T, tuple[str, ...]] | None:
    """What peers of ``needed`` organisations say alike, and these. One whose peers contradict each other has no say."""
    by_organisation: dict[str, set[_T]] = {}
    for name, vote in votes.items():
        by_organisation.setdefault(peers[name].mspid, set()).add(vote)
    supporters: dict[_T, list[str]] = {}
    for mspid, said in by_organisation.items():
        if len(said) == 1:
            supporters.setdefault(next(iter(said)), []).append(mspid)
    for vote, mspids in supporters.items():
        if len(mspids) >= needed:
            return vote, tuple(sorted(mspids))
    return None


def _unknown(answers: Mapping[str, object], peers: Mapping[str, Dialled], needed: int) -> NotFoundError | None:
    """The error where the peers of a majority have no such transaction."""
    missing = {name: answer for name, answer in answers.items() if isinstance(answer, NotFoundError)}
    agreed = _majority({name: error.code for name, error in missing.items()}, peers, needed)
    return None if agreed is None else next(error for error in missing.values() if error.code == agreed[0])


def _refusal(tx_id: str, reasons: Mapping[str, str], votes: Mapping[str, tuple[Any, ...]], needed: int) -> NotProved:
    told = {**reasons, **{name: _shown(vote) for name, vote in votes.items()}}
    said = "; ".join(f"{name}: {reason}" for name, reason in sorted(told.items()))
    return NotProved(
        f"transaction {tx_id} is not proved: peers of {needed} organisations do not say the same of it: {said}",
        tx_id=tx_id,
        peers=told,
    )
