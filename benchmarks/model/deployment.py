"""The deployments that the model simulates: shards, peers, orderers, the main chain, machines and links."""

from __future__ import annotations

from dataclasses import dataclass

from services.orderer.settings import Pacing

GIGABIT_S = 125e6
"""Bytes per second of a link of one gigabit per second."""


@dataclass(frozen=True, slots=True)
class MainChain:
    """The chain that all shards share. ``share`` is the part of all transactions that goes there (records, merges).

    ``members`` is the number of its peers, which run on machines of their own and serve the clients of all shards; with
    None all peers of all shards keep it, as in network-config/. ``endorsers`` of them endorse each transaction.
    """

    share: float
    members: int | None = None
    endorsers: int = 4


@dataclass(frozen=True, slots=True)
class Deployment:
    """A network. Every shard is a channel with ``peers`` peers, of which ``endorsers`` endorse each transaction.

    With ``together`` all processes, the load's too, run on one machine of ``cores`` cores. Otherwise each peer and each
    orderer has a machine of ``cores`` cores and a link of ``link_bytes_s``, and the load comes from outside.
    ``orderer_sets`` is the number of sets of three orderers, to which the shards are dealt in turn; if there is more
    than one, the main chain has a set of its own. ``load_shares`` divides the clients among the shards, evenly if it is
    empty. ``pacing``: the orderers' settings.
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
"""Orderers in a set."""

MAIN = "mainchain"
