"""Places of an orderer's edge that are kept: for the other orderers, that is for Raft, for peers, and for admins."""

from __future__ import annotations

from gridledger.identity.msp import Identity
from gridledger.web import Reserve
from gridledger.web.edge import ReserveOf
from services.orderer.orderer import Orderer


def reserves(orderer: Orderer) -> ReserveOf:
    """Where each caller may take a place when no common one is to be had."""
    limits = orderer.settings.limits
    of_orderers = Reserve("orderers", limits.max_orderer_requests, limits.max_orderer_requests)
    of_peers = Reserve("peers", limits.max_node_requests, limits.max_node_streams)
    of_admins = Reserve("admins", limits.max_admin_requests, limits.max_admin_requests)

    def reserve_of(caller: Identity) -> Reserve | None:
        fingerprint = caller.fingerprint
        configs = [channel.config for channel in orderer.channels.values()]
        if caller.role == "orderer" and any(fingerprint in config.raft_nodes_by_fingerprint for config in configs):
            return of_orderers
        if caller.role == "peer" and any(fingerprint in config.peers_by_fingerprint for config in configs):
            return of_peers
        if orderer.is_own_admin(caller):
            return of_admins
        return None

    return reserve_of
