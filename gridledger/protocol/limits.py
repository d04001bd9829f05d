"""A channel's bounds on blocks and transactions, and which of them would stop the channel for good."""

from __future__ import annotations

from dataclasses import dataclass

from gridledger.errors import MalformedMessage
from gridledger.protocol.block import MAX_ENVELOPES

MAX_ENTRY_BYTES = 16 * 1024 * 1024
"""What Raft takes as one entry, that is as one batch with its framing."""

MAX_CONFIG_BYTES = 1024 * 1024
"""Of a configuration's text. An update quotes it twice, and every node's edge must take that."""

MAX_BATCH_TIMEOUT_MS = 60_000
MIN_CONFIG_WINDOW_S = 300
"""Below that admins could hardly sign an update in time, the one that mends it included."""

CONFIG_WINDOW = "config_window_s"
_FRAME_BYTES = 4
_TIMESTAMP_BYTES = 8
_SIGNATURES_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Upper bounds of a block: count and bytes.

    Two blocks are at least ``min_interval_ms`` apart. An orderer lengthens that under load, to no more than
    ``batch_timeout_ms``: so long at most an envelope waits for its block while the one before it is done.
    """

    max_message_count: int = 500
    preferred_max_bytes: int = 2 * 1024 * 1024
    absolute_max_bytes: int = 16 * 1024 * 1024
    batch_timeout_ms: int = 2000
    min_interval_ms: int = 2

    def to_dict(self) -> dict[str, int]:
        """The JSON form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """Bounds on one transaction: bytes of its envelope, seconds that a proposal's time may differ from the clock.

    A config update is good for ``config_window_s`` after the time that it carries: long enough for a file to be signed
    by several organisations. 0, as in configurations of earlier versions: it needs no time and never expires.
    """

    max_envelope_bytes: int = 2 * 1024 * 1024
    proposal_window_s: int = 300
    config_window_s: int = 7 * 86_400

    def to_dict(self) -> dict[str, int]:
        """The JSON form. A config window of 0 is absent, as in configurations of earlier versions."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values if self.config_window_s else {name: values[name] for name in values if name != CONFIG_WINDOW}


def check_limits(batch: BatchLimits, limits: TransactionLimits, config_bytes: int = 0) -> None:
    """Raise :class:`MalformedMessage` for values under which nothing, or no further update, could be ordered.

    ``config_bytes`` is the length of the configuration's text: an update of it must fit under the limits that it
    brings.
    """
    _between("batch.max_message_count", batch.max_message_count, 1, MAX_ENVELOPES)
    _between("batch.absolute_max_bytes", batch.absolute_max_bytes, 1, MAX_ENTRY_BYTES)
    _between("batch.preferred_max_bytes", batch.preferred_max_bytes, 1, batch.absolute_max_bytes)
    _between("batch.batch_timeout_ms", batch.batch_timeout_ms, 1, MAX_BATCH_TIMEOUT_MS)
    _between("batch.min_interval_ms", batch.min_interval_ms, 0, batch.batch_timeout_ms)
    _between("limits.max_envelope_bytes", limits.max_envelope_bytes, 1, MAX_ENTRY_BYTES)
    _between("limits.proposal_window_s", limits.proposal_window_s, 1, None)
    if limits.config_window_s:
        _between("limits.config_window_s", limits.config_window_s, MIN_CONFIG_WINDOW_S, None)
    envelope = min(limits.max_envelope_bytes, batch.absolute_max_bytes)
    entry = max(batch.preferred_max_bytes + _FRAME_BYTES * batch.max_message_count, envelope + _FRAME_BYTES)
    if entry + _TIMESTAMP_BYTES + _FRAME_BYTES > MAX_ENTRY_BYTES:
        raise MalformedMessage(
            f"'batch' and 'limits' allow batches of {entry} bytes: with its framing one takes at most {MAX_ENTRY_BYTES}"
        )
    least = 2 * config_bytes + _SIGNATURES_BYTES
    if envelope < least:
        raise MalformedMessage(
            f"the channel would take envelopes of at most {envelope} bytes, and an update of this configuration may "
            f"need {least}: raise limits.max_envelope_bytes and batch.absolute_max_bytes"
        )


def _between(name: str, value: int, least: int, most: int | None) -> None:
    if value < least or (most is not None and value > most):
        bound = f"at least {least}" if most is None else f"from {least} to {most}"
        raise MalformedMessage(f"'{name}' must be {bound}, not {value}")
