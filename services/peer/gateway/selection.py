"""Selection of endorsers: the smallest set of peers that the policy accepts and that is likely to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gridledger.identity.policy import Policy
from gridledger.protocol.config import ChannelConfig, Node
from services.peer.gateway.peer_health import PeerHealth

MAX_PLANS = 64
_MAX_CACHED = 256
SHARED_S = 0.005
MAX_SHARED = 32
"""Proposals that come within this time, up to so many, go to one set of peers, and so travel together."""


class _Key(NamedTuple):
    config: int
    health: int


@dataclass(slots=True)
class _Shared:
    """A choice that serves ``left`` more proposals, until ``until`` (seconds) or until ``key`` is another."""

    peers: list[Node]
    key: _Key
    until: float
    left: int


class Selection:
    """Chooses for one channel's chaincodes. ``own`` is this peer's name: asking oneself costs no hop.

    Sets that are equally good take turns, so that their peers share the work.
    """

    def __init__(self, own: str, health: PeerHealth) -> None:
        self.own = own
        self._health = health
        self._turn = 0
        self._plans: dict[tuple[str, str], tuple[_Key, list[list[Node]]]] = {}
        self._shared: dict[tuple[str, str], _Shared] = {}

    def first(self, config: ChannelConfig, chaincode: str) -> list[Node]:
        """The peers to ask first; empty when no set of the channel's peers satisfies the policy."""
        self._health.expire()
        key = _Key(config.sequence, self._health.version)
        kept = self._plans.get((config.channel, chaincode))
        if kept is None or kept[0] != key:
            if len(self._plans) >= _MAX_CACHED:
                self._plans.clear()
            policy = config.endorsement_policy(chaincode)
            kept = (key, self._best(policy, config, self._rank(config, chaincode), Counter(), frozenset()))
            self._plans[config.channel, chaincode] = kept
        return self._next(kept[1])

    def among(self, config: ChannelConfig, chaincode: str, organisations: Collection[str]) -> list[Node]:
        """As :meth:`first`, with peers of these organisations (MSP ids) alone. Nothing of it is kept: the choice is a
        client's, and must not crowd out those of others."""
        self._health.expire()
        policy, outside = config.endorsement_policy(chaincode), _outside(config, organisations)
        return self._next(self._best(policy, config, self._rank(config, chaincode), Counter(), outside))

    def _next(self, plans: list[list[Node]]) -> list[Node]:
        if not plans:
            return []
        self._turn += 1
        return plans[self._turn % len(plans)]

    def shared(self, config: ChannelConfig, chaincode: str, now: float) -> list[Node]:
        """As :meth:`first`; proposals that come within ``SHARED_S`` get the same set, so that they travel together.

        ``now``: a monotonic clock, in seconds.
        """
        self._health.expire()
        key = _Key(config.sequence, self._health.version)
        kept = self._shared.get((config.channel, chaincode))
        if kept is None or kept.key != key or now >= kept.until or kept.left <= 0:
            if len(self._shared) >= _MAX_CACHED:
                self._shared.clear()
            kept = _Shared(self.first(config, chaincode), key, now + SHARED_S, MAX_SHARED)
            self._shared[config.channel, chaincode] = kept
        kept.left -= 1
        return kept.peers

    def further(
        self,
        config: ChannelConfig,
        chaincode: str,
        *,
        have: Sequence[str],
        asked: Collection[str],
        among: Collection[str] | None = None,
    ) -> list[Node]:
        """The fewest peers, none of ``asked``, that complete the organisations in ``have``; empty if there are none.

        With ``among`` they are of these organisations.
        """
        policy = config.endorsement_policy(chaincode)
        excluded = asked if among is None else {*asked, *_outside(config, among)}
        plans = self._best(policy, config, self._rank(config, chaincode), Counter(have), excluded)
        return plans[0] if plans else []

    def _rank(self, config: ChannelConfig, chaincode: str) -> Callable[[Node], tuple[int, bool]]:
        """The order of peers; each rank is looked up once, and asked for many times."""
        ranks = {name: (self._health.rank(name, chaincode), name != self.own) for name in config.peers}
        return lambda node: ranks[node.name]

    def _best(
        self,
        policy: Policy,
        config: ChannelConfig,
        rank: Callable[[Node], tuple[int, bool]],
        have: Counter[str],
        excluded: Collection[str],
    ) -> list[list[Node]]:
        """The equally best ways to complete ``have``: fewest marked peers, then fewest peers, then with this one."""
        at_hand = _by_organisation(config, rank, excluded)
        counts = Counter({mspid: len(nodes) for mspid, nodes in at_hand.items()}) + have
        best: list[list[Node]] = []
        best_cost: tuple[int, int, bool] | None = None
        for layout in policy.minimal_layouts(counts):
            missing = Counter(layout) - have
            if not missing or any(len(at_hand.get(mspid, ())) < count for mspid, count in missing.items()):
                continue
            for nodes in _variants(missing, at_hand, rank):
                cost = (
                    sum(rank(node)[0] for node in nodes),
                    len(nodes),
                    all(node.name != self.own for node in nodes),
                )
                if best_cost is None or cost < best_cost:
                    best, best_cost = [], cost
                if cost == best_cost and len(best) < MAX_PLANS:
                    best.append(nodes)
        return best


def _outside(config: ChannelConfig, organisations: Collection[str]) -> frozenset[str]:
    """The peers that are of none of these organisations."""
    return frozenset(node.name for node in config.peers.values() if node.mspid not in organisations)


def _by_organisation(
    config: ChannelConfig, rank: Callable[[Node], tuple[int, bool]], excluded: Collection[str]
) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in config.peers.values():
        if node.name not in excluded:
            found.setdefault(node.mspid, []).append(node)
    for nodes in found.values():
        nodes.sort(key=rank)
    return found


def _variants(
    missing: Mapping[str, int], at_hand: Mapping[str, list[Node]], rank: Callable[[Node], tuple[int, bool]]
) -> list[list[Node]]:
    """The best peers of each organisation; where several are equally good, one variant starting at each."""
    widest = 1
    for mspid, count in missing.items():
        nodes = at_hand[mspid]
        equal = sum(1 for node in nodes if rank(node) == rank(nodes[0]))
        widest = max(widest, equal if equal > count else 1)
    variants = []
    for turn in range(widest):
        chosen: list[Node] = []
        for mspid, count in missing.items():
            nodes = at_hand[mspid]
            equal = sum(1 for node in nodes if rank(node) == rank(nodes[0]))
            start = turn % equal if equal > count else 0
            rotated = nodes[start:equal] + nodes[:start] + nodes[equal:]
            chosen.extend(rotated[:count])
        variants.append(chosen)
    return variants
