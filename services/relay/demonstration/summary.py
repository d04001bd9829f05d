"""The demonstration's summary.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridledger.demonstration.summary import channel_summary
from gridledger.network.status import NetworkState
from services.relay.demonstration.outcome import MinuteOutcome
from services.relay.demonstration.report import Results, update_percentiles_ms


def summary_of(results: Results, ready_s: float, state: NetworkState, lies: Mapping[int, str]) -> dict[str, Any]:
    """The whole file. Times in milliseconds; ``lies`` are the hashes of the made-up texts by minute's number."""
    return {
        "passed": results.is_good,
        "ready_s": round(ready_s, 2),
        "relay": results.record["relay"],
        "minute_s": results.minute_s,
        "minutes": [_minute(outcome) for outcome in results.outcomes],
        "expectations": [{"text": text, "held": held} for text, held in results.expectations],
        "lies": {str(number): sha256 for number, sha256 in lies.items()},
        "gaps": [list(gap) for gap in results.gaps],
        "silences": [dict(silence) for silence in results.silences],
        "update_ms": update_percentiles_ms(results.outcomes),
        "last_peer_ms": update_percentiles_ms(results.outcomes, last=True),
        "chain": {"length": results.chain.length, "head": results.chain.head},
        "channels": channel_summary(state),
    }


def _minute(outcome: MinuteOutcome) -> dict[str, Any]:
    return {
        "number": outcome.number,
        "minute": outcome.minute,
        "winner": outcome.winner,
        "sha256": outcome.sha256,
        "record_sha256": outcome.record_sha256,
        "told_sha256": outcome.told_sha256,
        "update_ms": outcome.update_ms,
        "last_peer_ms": outcome.last_ms,
        "timed": outcome.timed,
        "voices": dict(outcome.voices),
        "verdict": outcome.status,
        "against": list(outcome.against),
        "faults": outcome.faults,
        "breaches": len(outcome.breaches),
        "times_recorded": outcome.times_recorded,
        "remark": outcome.remark,
    }
