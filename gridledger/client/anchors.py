"""Anchors of a channel: the heads of its block tree that another channel keeps, and whether a chain agrees with them.

The contract is ``anchors`` (``chaincode/anchors``); docs/anchors.md says what an anchor shows. A *size* is a number of
blocks; a head of a size is over the blocks 0 to size - 1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from gridledger.client import application as applications
from gridledger.client.application import Answer, ContractCalls, each_item, given
from gridledger.client.profile import ConnectionProfile
from gridledger.client.retry import Retry
from gridledger.errors import CorruptionError, GridLedgerError, MalformedMessage
from gridledger.protocol import merkle
from gridledger.protocol.fields import integer_of, list_of, object_of, text_of, value_of
from gridledger.protocol.headers import MAX_HEADERS, CommittedHeader, HeadersPage, anchor_leaf
from gridledger.protocol.merkle import Tree
from gridledger.protocol.statements import Head, Statement

APPLICATION: Final = "anchors"
"""Under this name the connection profile has the anchoring channel and its chaincode."""

MAX_ORGANISATIONS: Final = 64
_MAX_HEADS: Final = MAX_ORGANISATIONS

_AGAIN: Final = Retry(attempts=4, total_s=10.0)
"""Agents that end one round at once lose to one another; what has changed then the contract tells by name."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that is final. ``previous`` is the size and the root of the anchor before, which this tree begins with;
    ``organisations`` (MSP ids) said it; ``time_us`` is the time of the transaction that made it final."""

    channel: str
    size: int
    head: Head
    organisations: tuple[str, ...]
    previous: tuple[int, str] | None
    time_us: int

    @classmethod
    def from_dict(cls, value: Any) -> Anchor:
        """Read the contract's record; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(value, "an anchor")
        before = value_of(message, "previous")
        previous = None
        if before is not None:
            before = object_of(before, "an anchor's 'previous'")
            previous = (integer_of(before, "size"), text_of(before, "root", max_length=64))
        return cls(
            channel=text_of(message, "channel"),
            size=integer_of(message, "size", minimum=1),
            head=Head.of(message),
            organisations=_names(message),
            previous=previous,
            time_us=integer_of(message, "time_us"),
        )


@dataclass(frozen=True, slots=True)
class ChannelMembers:
    """Which organisations (MSP ids, ascending) belong to a channel, and the header hash of its block 0."""

    organisations: tuple[str, ...]
    genesis: str

    @classmethod
    def from_dict(cls, value: Any) -> ChannelMembers:
        """Read the contract's record."""
        message = object_of(value, "a channel's members")
        return cls(_names(message), text_of(message, "genesis", max_length=64))


@dataclass(frozen=True, slots=True)
class Round:
    """A size that an organisation wants anchored, and what each has said of that size, by MSP id."""

    mspid: str
    size: int
    said: Mapping[str, Head]

    @classmethod
    def from_dict(cls, value: Any) -> Round:
        """Read it out of a status."""
        message = object_of(value, "a round")
        said = {}
        for item in list_of(message, "said", max_length=MAX_ORGANISATIONS):
            one = object_of(item, "what an organisation said")
            said[text_of(one, "mspid")] = Head.of(one)
        return cls(text_of(message, "mspid"), integer_of(message, "size", minimum=1), said)


@dataclass(frozen=True, slots=True)
class AnchorStatus:
    """How far a channel is anchored. ``members`` is in force; ``voices`` is what each organisation says of them.

    ``rounds`` are those above the last final size; ``forks`` counts sizes at which organisations said different things,
    ``fork_size`` is the one found last, at ``fork_time_us``.
    """

    channel: str
    members: ChannelMembers | None = None
    voices: Mapping[str, ChannelMembers] | None = None
    final: Anchor | None = None
    rounds: tuple[Round, ...] = ()
    forks: int = 0
    fork_size: int | None = None
    fork_time_us: int | None = None

    @property
    def size(self) -> int:
        """The last final size, 0 where the channel is not anchored yet."""
        return 0 if self.final is None else self.final.size

    @classmethod
    def from_dict(cls, value: Any) -> AnchorStatus:
        """Read what GetStatus answers of a channel."""
        message = object_of(value, "a status of anchors")
        members, final, forks = (value_of(message, name) for name in ("members", "final", "forks"))
        fork = None if forks is None else object_of(forks, "forks")
        voices = {}
        for item in list_of(message, "voices", max_length=4 * MAX_ORGANISATIONS):
            voices[text_of(object_of(item, "a voice"), "mspid")] = ChannelMembers.from_dict(item)
        return cls(
            channel=text_of(message, "channel"),
            members=None if members is None else ChannelMembers.from_dict(members),
            voices=voices,
            final=None if final is None else Anchor.from_dict(final),
            rounds=tuple([Round.from_dict(item) for item in list_of(message, "rounds", max_length=MAX_ORGANISATIONS)]),
            forks=0 if fork is None else integer_of(fork, "count"),
            fork_size=None if fork is None else integer_of(fork, "size"),
            fork_time_us=None if fork is None else integer_of(fork, "time_us"),
        )


@dataclass(frozen=True, slots=True)
class AnchorAgent:
    """An organisation's agent: where others ask it, and the key (PEM) with which it signs what it says; None where the
    record was taken back."""

    mspid: str
    url: str | None
    key: str | None

    @classmethod
    def from_dict(cls, value: Any) -> AnchorAgent:
        """Read the contract's record."""
        message = object_of(value, "an agent of anchors")
        url, key = (None if value_of(message, name) is None else text_of(message, name) for name in ("url", "key"))
        return cls(text_of(message, "mspid"), url, key)


def round_of(statements: Sequence[Statement], consistency: Sequence[bytes]) -> Answer:
    """A round as Cosign takes it, of statements of one channel at one size with one base."""
    first = statements[0]
    by_head: dict[Head, list[Answer]] = {}
    for one in statements:
        by_head.setdefault(one.head, []).append({"mspid": one.mspid, "signature": one.signature})
    heads = [{**head._asdict(), "signatures": signatures} for head, signatures in by_head.items()]
    told = {"channel": first.channel, "size": first.size, "base": first.base, "heads": heads}
    return {**told, "consistency": [item.hex() for item in consistency]}


class AnchorsLedger(ContractCalls):
    """One identity's calls of the contract ``anchors``."""

    again = _AGAIN

    async def set_members(self, channel: str, members: ChannelMembers) -> Answer:
        """SetMembers: the caller's voice, and whether this is in force."""
        said = {"organisations": list(members.organisations), "genesis": members.genesis}
        return await self._submit("SetMembers", {"channel": channel, **said})

    async def attest(
        self,
        channel: str,
        size: int,
        head: Head,
        *,
        height: int,
        consistency: Sequence[bytes],
        opens: bool = False,
        conclude: bool = False,
    ) -> Answer:
        """Attest: what was said, and whether it made an anchor (``anchored``) or showed a fork (``forked``).

        ``consistency``: from the last final head, or for a head at that size from the one before.
        """
        proof = [item.hex() for item in consistency]
        told = {"channel": channel, "size": size, **head._asdict(), "height": height, "consistency": proof}
        more = given(opens=opens or None, conclude=conclude or None)
        return await self._submit("Attest", {**told, **more})

    async def conclude(self, channel: str, size: int, *, consistency: Sequence[bytes]) -> Answer:
        """Conclude: {channel, size, anchored, forked}."""
        proof = [item.hex() for item in consistency]
        return await self._submit("Conclude", {"channel": channel, "size": size, "consistency": proof})

    async def set_agent(self, url: str | None) -> Answer:
        """SetAgent: the caller is its organisation's agent, which others ask at ``url``; None takes that back."""
        return await self._submit("SetAgent", {"url": url})

    async def agents(self) -> list[AnchorAgent]:
        """ListAgents: of all organisations that have one on record."""

        async def page(bookmark: str | None) -> Answer:
            return await self._evaluate("ListAgents", given(bookmark=bookmark))

        return [AnchorAgent.from_dict(item) async for item in each_item(page)]

    async def cosign(self, rounds: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Cosign: of each round, which :func:`round_of` makes, {channel, size, anchored, forked, refused}."""
        answer = await self._submit("Cosign", {"rounds": [dict(one) for one in rounds]})
        return [dict(one) for one in answer["rounds"]]

    async def status(self, channel: str) -> AnchorStatus:
        """GetStatus of one channel."""
        return AnchorStatus.from_dict(await self._evaluate("GetStatus", {"channel": channel}))

    async def statuses(self) -> list[AnchorStatus]:
        """GetStatus of all channels whose members are known."""

        async def page(bookmark: str | None) -> Answer:
            return await self._evaluate("GetStatus", given(bookmark=bookmark))

        return [AnchorStatus.from_dict(item) async for item in each_item(page)]

    async def anchor(self, channel: str, size: int | None = None) -> Anchor:
        """GetAnchor: the first anchor of at least this size, the newest where none is named."""
        return Anchor.from_dict(await self._evaluate("GetAnchor", {"channel": channel, **given(size=size)}))

    async def anchors(self, channel: str) -> AsyncIterator[Anchor]:
        """ListAnchors: all of a channel, ascending by size."""

        async def page(bookmark: str | None) -> Answer:
            return await self._evaluate("ListAnchors", {"channel": channel, **given(bookmark=bookmark)})

        async for item in each_item(page):
            yield Anchor.from_dict(item)

    async def forks(self, channel: str) -> list[Answer]:
        """ListForks: [{size, heads: [{root, header_hash, commit_hash, organisations}], time_us}]."""

        async def page(bookmark: str | None) -> Answer:
            return await self._evaluate("ListForks", {"channel": channel, **given(bookmark=bookmark)})

        return [item async for item in each_item(page)]


def application_of(profile: ConnectionProfile) -> tuple[str, str]:
    """The anchoring channel and its chaincode; :class:`SettingsError` where a network has none."""
    return applications.application_of(profile, APPLICATION, "channel for anchors")


class NotAnchored(GridLedgerError):
    """A chain is not the one of which another channel keeps the heads. ``details.blocks``: which blocks differ, as far
    as the anchors tell: between the last head that agrees and the first that does not."""

    code = "NOT_ANCHORED"
    status = 409


class Compared(NamedTuple):
    """How a chain and its anchors compare: how many agree, the largest size that does, and how many lie beyond it."""

    agree: int
    size: int
    beyond: int


def compare(tree: Tree, anchors: Sequence[Anchor]) -> Compared:
    """Whether the tree over a channel's blocks has each anchored root; anchors ascend by size.

    Raises :class:`NotAnchored`, which names the blocks. Anchors of more blocks than the tree has are counted.
    """
    agree = size = 0
    for anchor in anchors:
        if anchor.size > tree.size:
            break
        if tree.root(anchor.size).hex() != anchor.head.root:
            raise NotAnchored(
                f"the chain of {anchor.channel} is not the one that was anchored: blocks {size} to {anchor.size - 1} "
                f"were changed after {', '.join(anchor.organisations)} attested {anchor.size} blocks",
                channel=anchor.channel,
                blocks=[size, anchor.size - 1],
                anchored=anchor.head.root,
                found=tree.root(anchor.size).hex(),
            )
        agree, size = agree + 1, anchor.size
    return Compared(agree, size, len(anchors) - agree)


class HeaderSource(Protocol):
    """A channel whose headers can be read, such as a :class:`~gridledger.client.Network`."""

    async def get_headers(self, start: int = 0, *, limit: int = MAX_HEADERS) -> HeadersPage:
        """Headers of consecutive blocks."""


async def read_tree(source: HeaderSource, *, most: int | None = None) -> tuple[Tree, CommittedHeader]:
    """The tree over the blocks that a peer has, at most ``most`` of them, and the last one's header.

    Raises :class:`CorruptionError` where the peer's headers do not follow one another.
    """
    tree, last = Tree(), None
    while most is None or tree.size < most:
        limit = MAX_HEADERS if most is None else min(MAX_HEADERS, most - tree.size)
        page = await source.get_headers(tree.size, limit=limit)
        for item in page.items:
            if last is not None and item.header.previous_hash != last.header.hash:
                raise CorruptionError(f"the peer's block {item.header.number} does not follow the one before it")
            tree.append(item.leaf_hash)
            last = item
        if not page.items or tree.size >= page.height:
            break
    if last is None:
        raise CorruptionError("the peer has no block of the channel")
    return tree, last


def is_anchored(item: CommittedHeader, path: Sequence[bytes], anchor: Anchor) -> bool:
    """Whether a block, with its commit hash, is under an anchor: ``path`` leads from its leaf to the anchored root.

    An agent of the channel's organisations serves paths (``GET /channels/NAME/proofs/BLOCK?size=``).
    """
    header = item.header
    if header.channel != anchor.channel:
        return False
    root = merkle.root_from_path(anchor_leaf(header.text, item.commit_hash), header.number, anchor.size, path)
    return root is not None and root.hex() == anchor.head.root


def _names(message: dict[str, Any]) -> tuple[str, ...]:
    names = list_of(message, "organisations", max_length=_MAX_HEADS)
    if not all(isinstance(name, str) for name in names):
        raise MalformedMessage("'organisations' must be MSP ids")
    return tuple(names)
