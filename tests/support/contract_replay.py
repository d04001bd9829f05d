"""Replays recorded calls of the contract ``dvs``, and tells digests of its answers. Needs the base install alone.

python -m tests.support.contract_replay CALLS.json.gz
"""

from __future__ import annotations

import gzip
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.support.dvs_channel import DvsChannel

Calls = list[tuple[str, str, Any]]
"""In their order: channel, function, argument."""


def replayed(calls: Calls) -> dict[str, Any]:
    """The digest of each answer (refusals too), the outcomes of frames, each channel's state and history at the end."""
    channels: dict[str, DvsChannel] = {}
    answers = []
    outcomes: set[str] = set()
    for channel, function, argument in calls:
        if channel not in channels:
            channels[channel] = DvsChannel()
        answer = channels[channel].ask(function, argument)
        if function == "ComputeVSI" and answer.successful:
            outcomes.add(answer.payload["outcome"])
        answers.append(digest(json.dumps([answer.payload, answer.message]).encode()))
    return {
        "answers": answers,
        "outcomes": sorted(outcomes),
        "states": {name: digest(channel.state.to_bytes()) for name, channel in sorted(channels.items())},
    }


def digest(text: bytes) -> str:
    """The first 16 digits of its SHA-256."""
    return sha256(text).hexdigest()[:16]


def read(path: Path) -> Any:
    """The JSON of a packed file."""
    return json.loads(gzip.decompress(path.read_bytes()))


if __name__ == "__main__":
    print(json.dumps(replayed([tuple(call) for call in read(Path(sys.argv[1]))["calls"]])))
