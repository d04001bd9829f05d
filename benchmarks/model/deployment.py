"""What stands where: shards, peers, orderers, the main chain, machines and links."""

from __future__ import annotations

from dataclasses import dataclass

from services.orderer.settings import Pacing

GIGABIT_S = 125e6
"""Bytes per second of a link of one gigabit per second."""


@dataclass(frozen=True, slots=True)
class MainChain:
    """The chain that all shards share. Of a shard's transactions the part ``share`` goes there (group records, merges).

    ``members`` peers keep it: None means all peers of all shards, as network-config/ has it; a number means so many
    peers on machines of their own, through which the clients of all shards send. ``endorsers`` of them sign each.
    """

    share: float
    members: int | None = None
    endorsers: int = 4


@dataclass(frozen=True, slots=True)
class Deployment:
    """A network. Every shard is a channel with ``peers`` peers, of which ``endorsers`` sign each transaction.

    ``together`` puts every process, the load's too, on one machine of ``cores`` cores; otherwise each peer and each
    orderer has a machine of ``cores`` cores and a link of ``link_bytes_s``, and load comes from outside.
    ``orderer_sets`` sets of three order the shards' channels in turn; the main chain has a set of its own if there is
    more than one. ``load_shares`` tells how the clients divide among the shards, evenly if it is empty. ``pacing``: the
    orderers' settings.
    """

    shards: int
    peers: int
    endorsers: int
    together: bool = False
    cores: float = 4.0
    orderer_sets: int = 1
    main: MainChain | None = None
    link_bytes_s: float = float("inf")
    latency_s: float = 0.0
    load_shares: tuple[float, ...] = ()
    generators: int = 2
    pacing: Pacing = Pacing()  # noqa: RUF009 - frozen


ORDERERS = 3
"""Orderers in a set: one group of Raft servers for all its channels."""

MAIN = "mainchain"

TOPOLOGIES = {"no-shard": (1, 6, 3), "two-shards": (2, 3, 3), "three-shards": (3, 2, 2)}
"""What network-config/ has: shards, peers of each, endorsers of a transaction."""
