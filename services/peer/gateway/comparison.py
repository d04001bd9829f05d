"""Comparison of endorsers' responses: who agrees, who lags behind, and what else differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridledger.errors import BusyError, GridLedgerError
from gridledger.protocol.result import Read, Result, Version
from services.peer.endorser.endorser import ProposalResponse
from services.peer.errors import ChaincodeRefused

MAX_SHOWN = 10
MAX_SHOWN_CHARACTERS = 256
_NOWHERE = Version(-1, -1)


def height_seen(response: ProposalResponse) -> int:
    """A height that the peer had certainly reached: what it said, or the newest version that it read."""
    result = Result.parse(response.result_text)
    newest = max((read.version[0] + 1 for read in _all_reads(result) if read.version is not None), default=0)
    return max(response.height, newest)


def saw_the_same(responses: Mapping[str, ProposalResponse]) -> bool:
    """Whether all read the same versions: then no lag explains a difference, and asking again is of no use."""
    results = [Result.parse(response.result_text) for response in responses.values()]
    return all((result.reads, result.ranges) == (results[0].reads, results[0].ranges) for result in results)


def differences(responses: Mapping[str, ProposalResponse]) -> dict[str, dict[str, Any]]:
    """Per peer what it read, wrote and answered, as far as any two peers differ in it; bounded."""
    results = {peer: Result.parse(response.result_text) for peer, response in responses.items()}
    views = {peer: _view(result) for peer, result in results.items()}
    shown: dict[str, dict[str, Any]] = {peer: {"height": responses[peer].height} for peer in responses}
    for part in ("reads", "ranges", "writes"):
        keys = _differing_keys([view[part] for view in views.values()])
        for peer, view in views.items():
            if keys:
                shown[peer][part] = {key: _short(view[part].get(key, "absent")) for key in keys[:MAX_SHOWN]}
            if len(keys) > MAX_SHOWN:
                shown[peer][f"{part}_not_shown"] = len(keys) - MAX_SHOWN
    for part in ("response", "event"):
        if len({repr(view[part]) for view in views.values()}) > 1:
            for peer, view in views.items():
                shown[peer][part] = _short(view[part])
    return shown


def who_differed(
    agreed: Sequence[str], responses: Mapping[str, ProposalResponse], errors: Mapping[str, GridLedgerError]
) -> dict[str, str]:
    """Who answered otherwise than those who ``agreed``, though no lag, load or fault explains it, and how."""
    example, names = responses[agreed[0]], ", ".join(agreed)
    heights = {responses[name].height for name in agreed}
    found = {
        name: f"its results differ from those of {names}"
        for name, response in responses.items()
        if response.result_text != example.result_text and saw_the_same({name: response, agreed[0]: example})
    }
    for name, error in errors.items():
        lags = error.code == ChaincodeRefused.code and heights != {error.details.get("height")}
        if error.status < 500 and not isinstance(error, BusyError) and not lags:  # noqa: PLR2004
            found[name] = f"it refuses what {names} endorse: {error.code}: {error.message}"
    return found


def _view(result: Result) -> dict[str, Any]:
    return {
        "reads": {read.key: _version(read) for read in result.reads},
        "ranges": {
            f"{item.start}..{item.end}": [[read.key, _version(read)] for read in item.reads] for item in result.ranges
        },
        "writes": {write.key: write.value for write in result.writes},
        "response": list(result.response),
        "event": None if result.event is None else list(result.event),
    }


def _version(read: Read) -> list[int] | None:
    """As JSON has it: a named tuple is not written."""
    return None if read.version is None else list(read.version)


def _differing_keys(parts: list[dict[str, Any]]) -> list[str]:
    absent = object()
    keys = dict.fromkeys(key for part in parts for key in part)
    return [key for key in keys if any(part.get(key, absent) != parts[0].get(key, absent) for part in parts)]


def _short(value: Any) -> Any:
    text = repr(value)
    return value if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."


def _all_reads(result: Result) -> list[Read]:
    return [*result.reads, *(read for item in result.ranges for read in item.reads)]
