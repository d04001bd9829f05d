"""GetGaps: what the ledger cannot vouch for.

A device's chain itself has no gap, as the contract takes the next event only. So a gap is one of time: events that came
late or with a wrong clock, time between batches without rows, and what a device said between its revocation and its
suspension here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import members, name
from gridledger.contract.paging import behind, bookmark_of, limit_of, page

from . import keys
from .admission import read_device
from .permissions import Record
from .queries import logged_at, revoked_late_s

#: Most events that one call looks at for those logged after a revocation.
MAX_LOOKED_AT: Final = 500

_GAP: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})/([0-9]{12})/(late|ahead|back|gap|overlap)")


def get_gaps(stub: Stub, argument: Any) -> Record:
    """GetGaps({device?, limit?, bookmark?}): {items, revoked_late, bookmark}.

    ``items``: by device and event, {device, mark, from_seq, to_seq}; late and ahead with ``time_us`` and ``at_us`` of
    the first event, ``to_seq`` null while they go on; gap, overlap and back with the times ``from_us`` and ``to_us``.
    ``revoked_late``: of the device's suspensions, on the first page of a device.
    """
    members(argument, "", (), ("device", "limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, lambda bookmark: bool(_GAP.fullmatch(bookmark)), "")
    device = None if argument.get("device") is None else name(argument["device"], "device")
    record = None if device is None else read_device(stub, device)
    answer = page(_gaps(stub, device, start, limit), limit)
    late = [] if record is None or start else _revoked_late(stub, record)
    return {"items": answer["items"], "revoked_late": late, "bookmark": answer["bookmark"]}


def _gaps(stub: Stub, device: str | None, start: str, limit: int) -> Iterator[tuple[str, Record]]:
    prefix = keys.GAPS if device is None else keys.gaps(device)
    first = max(prefix, keys.GAPS + start)
    for key, value in stub.get_state_by_range(first, behind(prefix), limit + 1):
        place = key[len(keys.GAPS) :]
        of, digits, mark = place.split("/")
        span = {"from_seq": int(digits), "to_seq": value.pop("to_seq", int(digits))}
        yield place, {"device": of, "mark": mark, **span, **value}


def _revoked_late(stub: Stub, record: Record) -> list[Record]:
    """For each suspension what was logged after the revocation: {tx, by, revoked_us, at_us, from_seq, to_seq, more}.

    ``from_seq`` is null where there was nothing; ``more``: there is more before ``from_seq`` than one call looks at.
    """
    head = stub.get_state(keys.head(record["device"]))
    left = MAX_LOOKED_AT
    found = []
    for suspension in reversed(record["suspensions"]):
        last = (0 if head is None else head["seq"]) if suspension["last_seq"] is None else suspension["last_seq"]
        seq = last
        while seq and left and revoked_late_s([suspension], seq, logged_at(stub, record["device"], seq)) is not None:
            seq, left = seq - 1, left - 1
        span = {"from_seq": seq + 1, "to_seq": last} if seq < last else {"from_seq": None, "to_seq": None}
        told = {field: suspension[field] for field in ("tx", "by", "revoked_us", "at_us")}
        found.append(told | span | {"more": seq > 0 and left == 0})
    return found[::-1]
