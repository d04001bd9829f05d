"""An orderer's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gridledger.settings import Count, Seconds, ServiceSettings, SettingsPart


class RaftTiming(SettingsPart):
    """Raft's clock: an election starts after ``election_ticks`` to twice that without a leader."""

    tick_s: Seconds = 0.05
    election_ticks: Count = 10
    heartbeat_ticks: Count = 2
    proposal_timeout_s: Seconds = 10.0
    snapshot_entries: Count = 10_000
    snapshot_bytes: Count = 128 * 1024 * 1024
    trailing_entries: Count = 1_000
    segment_bytes: Count = 64 * 1024 * 1024


class OrdererLimits(SettingsPart):
    """Bounds of the HTTP edge and of the queue in front of consensus, per channel. Sizes in bytes.

    Each is shared by callers, see docs/operations.md. Beside ``max_requests`` and ``max_streams`` the other orderers,
    the peers and the admins have places of their own.

    A leader's entry whose time lies more than ``max_clock_ahead_s`` ahead of this orderer's clock is not accepted.
    Clocks that are synchronised at all differ by less than a second, and peers take proposals some minutes
    (``proposal_window_s``) from a block's time: the default is far from both.
    """

    max_body_bytes: Count = 32 * 1024 * 1024
    max_raft_body_bytes: Count = 80 * 1024 * 1024
    max_requests: Count = 1000
    max_node_requests: Count = 500
    max_orderer_requests: Count = 100
    max_admin_requests: Count = 16
    max_envelopes: Count = 500
    max_queued: Count = 10_000
    max_queued_bytes: Count = 128 * 1024 * 1024
    max_streams: Count = 500
    max_node_streams: Count = 500
    stream_chunk_bytes: Count = 1024 * 1024
    max_clock_ahead_s: Seconds = 10.0


class Pacing(SettingsPart):
    """How block cutting yields to load and to slow peers.

    The least interval between blocks is the channel's ``min_interval_ms``. Above ``calm_rate`` transactions per second
    on the channel it grows in proportion, to ``busy_interval_ms`` at ``busy_rate``, but to no more than
    ``busy_batches`` times what a batch takes longer than ``calm_batch_ms`` to become durable: a machine that is not
    busy goes on answering quickly. And it is that for every four blocks that the slowest reporting peer is behind, up
    to ``max_interval_ms``; a report counts for ``report_lifetime_s``. A batch that is as large as the channel allows
    waits for peers only."""

    calm_rate: Count = 80
    busy_rate: Count = 200
    busy_interval_ms: Annotated[int, Field(ge=0)] = 75
    calm_batch_ms: Annotated[float, Field(ge=0)] = 1.5
    busy_batches: Count = 16
    max_interval_ms: Count = 250
    report_lifetime_s: Seconds = 5.0


class Checks(SettingsPart):
    """Checks in the background: every ``compare_s`` the newest block is compared with the other orderers', and old
    blocks are read from the disk at ``scrub_bytes_per_s``, all channels together."""

    compare_s: Seconds = 10.0
    scrub_bytes_per_s: Count = 1024 * 1024


class OrdererSettings(ServiceSettings):
    """One orderer.

    ``genesis`` is a folder with ``<channel>.genesis`` for each of ``channels``, and perhaps ``<channel>.config``, its
    newest config block; ``roots`` a PEM bundle. ``channels`` may be empty: others are joined and left at run time.

    ``identity`` is a folder with ``cert.pem``, ``key.pem`` and ``mspid``, and the local MSP beside them: ``roots.pem``,
    the organisation's own roots, and ``crls.pem`` where somebody is revoked.

    Where it leads at least two channels more than another orderer, it hands one over every ``balance_s`` seconds; 0
    switches that off.
    """

    mspid: str
    identity: Path
    genesis: Path
    roots: Path
    channels: Annotated[list[str], Field(max_length=1000)]
    raft: RaftTiming = RaftTiming()
    limits: OrdererLimits = OrdererLimits()
    pacing: Pacing = Pacing()
    checks: Checks = Checks()
    balance_s: Annotated[float, Field(ge=0)] = 10.0
