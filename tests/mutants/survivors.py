"""Mutations that no test sees, and why that is right. Each is known by its file and the lines that differ."""

from __future__ import annotations

from tests.mutants.mutation import ROOT, Mutation

SURVIVORS: dict[tuple[str, tuple[str, ...]], str] = {
    (
        "services/orderer/raft/replication.py",
        (
            "- progress.nudge = progress.match < self.log.last_index",
            "+ progress.nudge = progress.match is not self.log.last_index",
        ),
    ): "Equal numbers may be two objects: a follower that has all gets an empty append with a heartbeat, and says so.",
    (
        "services/orderer/raft/group.py",
        ("- return True", "+ return False"),
    ): "What follows a snapshot is applied all the same: applying it touches the group, and that wakes the applier.",
    (
        "gridledger/identity/policy.py",
        (
            "- return _Plan(node, 0, (), free=not outside), outside",
            "+ return _Plan(node, 1, (), free=not outside), outside",
        ),
    ): "How many children a principal needs is never asked: it has none.",
    (
        "gridledger/ledger/lmdb_store.py",
        ("- environment.handle.set_mapsize(0)", "+ environment.handle.set_mapsize(1)"),
    ): "LMDB then takes the size in use instead of the whole map; the next growth is adopted in the same way.",
}


def reason_for(mutation: Mutation) -> str | None:
    """Why this one may survive, None where nothing is known of it."""
    source = (ROOT / mutation.path).read_text()
    return SURVIVORS.get((mutation.path, mutation.changed_lines(source)))
