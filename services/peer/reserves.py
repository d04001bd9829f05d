"""Places of a peer's edge that are kept for nodes, and for the admins of its organisation."""

from __future__ import annotations

from gridledger.identity.msp import Identity
from gridledger.web import Reserve
from gridledger.web.edge import ReserveOf
from services.peer.peer import Peer


def reserves(peer: Peer) -> ReserveOf:
    """Where each caller may take a place when no common one is to be had."""
    edge = peer.settings.edge
    of_nodes = Reserve("nodes", edge.max_node_requests)
    of_admins = Reserve("admins", edge.max_admin_requests, edge.max_admin_requests)

    def reserve_of(caller: Identity) -> Reserve | None:
        if caller.role == "peer" and peer.channels.has_peer(caller.fingerprint):
            return of_nodes
        if peer.is_own_admin(caller):
            return of_admins
        return None

    return reserve_of
