"""A peer's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gridledger.settings import Count, Seconds, ServiceSettings, SettingsPart

MAX_BATCH = 500
"""Envelopes that one broadcast may carry at most."""


class EdgeLimits(SettingsPart):
    """Bounds of the HTTP edge. Sizes in bytes, times in seconds; each queue that is full answers 429.

    So does the gateway, before it does anything for it, to a proposal that would wait longer than ``max_wait_s`` for
    its commit, and to an endorsed transaction that would wait twice as long. Each bound is shared by callers, see
    docs/operations.md. Beside ``max_requests`` the channels' peers have ``max_node_requests`` and admins of the peer's
    organisation ``max_admin_requests``. ``max_call_streams`` bounds the clients' streams of calls,
    ``max_node_streams`` those of peers, whom no client can so keep out.
    """

    max_body_bytes: Count = 4 * 1024 * 1024
    max_package_bytes: Count = 16 * 1024 * 1024
    max_requests: Count = 1000
    max_node_requests: Count = 500
    max_admin_requests: Count = 16
    max_evaluations: Count = 512
    max_waiters: Count = 20_000
    max_streams: Count = 200
    max_call_streams: Count = 500
    max_node_streams: Count = 200
    max_wait_s: Seconds = 0.5
    max_status_wait_s: Seconds = 60.0
    commit_timeout_s: Seconds = 30.0


class EndorsementLimits(SettingsPart):
    """How the gateway asks endorsers.

    A set that has not answered after ``hedge_after_s`` gets help from the next one. A peer that failed is left out for
    ``probe_after_s`` while others can stand in. ``catch_up_s`` is how long an endorser waits for a block that the
    caller has seen already; ``max_rounds`` how often peers that differ are asked again. ``max_concurrent`` proposals
    are endorsed at once through this gateway.
    """

    timeout_s: Seconds = 5.0
    hedge_after_s: Seconds = 0.25
    probe_after_s: Seconds = 1.0
    catch_up_s: Seconds = 1.0
    max_rounds: Count = 4
    max_concurrent: Count = 256


class OrderingLimits(SettingsPart):
    """The queue from the gateway to the orderers, one per channel.

    When the leader is silent for ``doubt_after_s``, or where it is slower three times as long as its answers take (1 s
    at most), the other orderers are asked whether one of them leads, and it is left as soon as one does: after 1 s at
    most its followers begin to elect another one (``raft.election_ticks``). It is left in any case after
    ``request_timeout_s``.
    """

    timeout_s: Seconds = 15.0
    request_timeout_s: Seconds = 2.0
    doubt_after_s: Seconds = 0.3
    max_queued: Count = 2000
    max_queued_bytes: Count = 64 * 1024 * 1024
    max_batch: Annotated[int, Field(gt=0, le=MAX_BATCH)] = 250
    max_batch_bytes: Count = 4 * 1024 * 1024
    max_in_flight: Count = 2
    backoff_initial_s: Seconds = 0.02
    backoff_max_s: Seconds = 0.5


class HostLimits(SettingsPart):
    """Chaincode hosts: processes per package, how long one may take to load it, and what one call may take."""

    processes: Count = 2
    start_timeout_s: Seconds = 20.0
    call_timeout_s: Seconds = 5.0
    memory_bytes: Count = 512 * 1024 * 1024


class CommitterLimits(SettingsPart):
    """The committer's bounds: what one LMDB transaction takes when the peer is behind, and what is buffered before it.

    ``stall_s`` without a block makes it compare its source with the other orderers.
    """

    processes: Literal["one", "per-channel"] = "one"
    map_bytes: Count = 64 * 1024**3
    max_blocks_per_commit: Count = 32
    max_bytes_per_commit: Count = 8 * 1024 * 1024
    max_buffered_bytes: Count = 32 * 1024 * 1024
    verify_threads: Count = 2
    backoff_initial_s: Seconds = 0.05
    backoff_max_s: Seconds = 2.0
    stall_s: Seconds = 3.0
    progress_interval_s: Seconds = 0.1
    stop_timeout_s: Seconds = 10.0


class PeerSettings(ServiceSettings):
    """One peer.

    ``genesis`` is a folder with ``<channel>.genesis`` for each of ``channels``, and perhaps ``<channel>.config``, its
    newest config block; ``packages`` a folder with ``<package id>.tar.gz`` that are installed at start; ``roots`` a PEM
    bundle for TLS connections to others. ``channels`` may be empty: others are joined and left at run time.

    ``identity`` is a folder with ``cert.pem``, ``key.pem`` and ``mspid``, and the local MSP beside them: ``roots.pem``,
    the organisation's own roots, and ``crls.pem`` where somebody is revoked.
    """

    mspid: str
    identity: Path
    genesis: Path
    packages: Path | None = None
    roots: Path
    channels: Annotated[list[str], Field(max_length=100)]
    edge: EdgeLimits = EdgeLimits()
    endorsement: EndorsementLimits = EndorsementLimits()
    ordering: OrderingLimits = OrderingLimits()
    hosts: HostLimits = HostLimits()
    committer: CommitterLimits = CommitterLimits()

    @property
    def ledger_directory(self) -> Path:
        """Where the channels' ledgers lie."""
        return self.data / "ledger"

    @property
    def package_directory(self) -> Path:
        """Where installed chaincode packages lie, as archives and unpacked."""
        return self.data / "packages"
