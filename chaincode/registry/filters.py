"""The filter of registered devices: PublishFilter, GetFilter. A no is sure, a yes must be looked up (GetDevice).

A filter cannot forget, so it is made anew, each time with the next number: its epoch. The first page begins the epoch:
from there on, registrations are listed under it, and are not among what later pages read. So no registration is lost,
none disturbs a page, and no page but the first disturbs a registration. A filter's reader takes a no for a no only
for devices that are not among those registered since either.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, evidence
from gridledger.contract.arguments import integer, members, refuse, shown
from gridledger.contract.paging import behind

from . import keys
from .devices import present_epoch
from .permissions import Record, require_registrar

PART_BYTES: Final = 512 * 1024
#: Two parts are as much as one transaction can write, 2 MiB with all that is around them: 875,000 devices at 1 %.
MAX_PARTS: Final = 2
MIN_BITS, MAX_BITS = 8, MAX_PARTS * PART_BYTES * 8
MAX_HASHES: Final = 32
MAX_PAGE: Final = 2000
MAX_EPOCH: Final = 10**keys.EPOCH_DIGITS - 1

_PLACE: Final = re.compile(r"[0-9]{8}/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def publish_filter(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """PublishFilter({epoch, m, k, from, limit}): {epoch, m, k, added, devices, next}.

    ``from``: "" begins the epoch, then ``next`` of the answer before, until that is null and the filter is published.
    """
    members(argument, "", ("epoch", "m", "k", "from", "limit"))
    wanted = {
        "epoch": integer(argument["epoch"], "epoch", 1, MAX_EPOCH),
        "m": integer(argument["m"], "m", MIN_BITS, MAX_BITS),
        "k": integer(argument["k"], "k", 1, MAX_HASHES),
    }
    start = _place(argument["from"], "from")
    limit = integer(argument["limit"], "limit", 1, MAX_PAGE)
    require_registrar(caller)
    building = _begin(stub, wanted) if start == "" else _go_on(stub, wanted, start)
    names, following = _page(stub, start, keys.active_from(wanted["epoch"]), limit)
    bits = _bits_of(stub, building) if start else bytearray(_byte_count(wanted["m"]))
    _set(bits, names, wanted["m"], wanted["k"])
    for number, part in enumerate(_parts(bits)):
        stub.put_state(keys.bits(wanted["epoch"], number), base64.b64encode(part).decode("ascii"))
    building |= {"devices": building["devices"] + len(names), "next": following}
    answer = {**wanted, "added": len(names), "devices": building["devices"], "next": following}
    if following is not None:
        stub.put_state(keys.BUILDING, building)
        return answer
    return answer | {"bits_sha256": _publish(stub, building, bits)["bits_sha256"]}


def get_filter(stub: Stub, argument: Any) -> Record:
    """GetFilter({epoch?, part?, limit?, bookmark?}): {epoch, m, k, parts, devices, bits_sha256, began_us, published_us,
    tx, newest, building, part, bits, since, bookmark}. Without ``epoch`` it is the newest's.

    ``bits``: of the part, in base64, null where no part is asked for; all parts one behind the other have
    ``bits_sha256``. ``since``: names of active devices that were registered since the epoch began.
    """
    members(argument, "", (), ("epoch", "part", "limit", "bookmark"))
    newest = stub.get_state(keys.NEWEST)
    if newest is None:
        refuse("epoch", "no filter is published yet; a registrar does so (PublishFilter)")
    epoch = newest if argument.get("epoch") is None else integer(argument["epoch"], "epoch", 1, MAX_EPOCH)
    record = stub.get_state(keys.published(epoch))
    if record is None:
        refuse("epoch", f"no filter of epoch {epoch} was published; the newest is {newest}")
    part = None if argument.get("part") is None else integer(argument["part"], "part", 0, record["parts"] - 1)
    bits = None if part is None else stub.get_state(keys.bits(epoch, part))
    if part is not None and bits is None:
        refuse("epoch", f"the bits of filter {epoch} are not kept any more; the newest is {newest}")
    limit = MAX_PAGE if argument.get("limit") is None else integer(argument["limit"], "limit", 1, MAX_PAGE)
    began = keys.active_from(epoch)[len(keys.ACTIVE) :]
    start = began if argument.get("bookmark") is None else _place(argument["bookmark"], "bookmark") or began
    since, bookmark = _page(stub, start, behind(keys.ACTIVE), limit)
    told = {field: value for field, value in record.items() if field != "before"}
    return told | {
        "newest": newest,
        "building": stub.get_state(keys.BUILDING),
        "part": part,
        "bits": bits,
        "since": since,
        "bookmark": bookmark,
    }


def _begin(stub: Stub, wanted: Record) -> Record:
    """The first page's beginning; what was begun before and not published is given up."""
    begun = present_epoch(stub)
    if wanted["epoch"] != begun + 1:
        refuse("epoch", f"must be {begun + 1} to begin a filter, not {wanted['epoch']}{_how_to_go_on(stub)}")
    given_up = stub.get_state(keys.BUILDING)
    if given_up is not None:
        _forget_bits(stub, given_up)
    stub.put_state(keys.EPOCH, wanted["epoch"])
    return {**wanted, "devices": 0, "began_us": stub.get_tx_timestamp()}


def _go_on(stub: Stub, wanted: Record, start: str) -> Record:
    building: Record | None = stub.get_state(keys.BUILDING)
    if building is None:
        refuse("from", 'no filter is being made; begin the next one with "from": ""')
    for field, value in (*wanted.items(), ("from", start)):
        expected = building["next" if field == "from" else field]
        if value != expected:
            refuse(field, f"must be {expected}, not {value}{_how_to_go_on(stub)}")
    return building


def _how_to_go_on(stub: Stub) -> str:
    building = stub.get_state(keys.BUILDING)
    if building is None:
        return ""
    where = ", ".join(f"{field} {building[field]}" for field in ("epoch", "m", "k"))
    return f"; one is being made: {where}, from {building['next']}"


def _publish(stub: Stub, building: Record, bits: bytearray) -> Record:
    """Make a whole filter the newest. Its predecessor's bits are kept, for readers that are just reading them."""
    before = stub.get_state(keys.NEWEST)
    record = {
        **{field: building[field] for field in ("epoch", "m", "k")},
        "parts": _part_count(building["m"]),
        "devices": building["devices"],
        "bits_sha256": sha256(bits).hexdigest(),
        "began_us": building["began_us"],
        "published_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
        "before": before,
    }
    last = None if before is None else stub.get_state(keys.published(before))["before"]
    if last is not None:
        _forget_bits(stub, stub.get_state(keys.published(last)))
    stub.put_state(keys.published(record["epoch"]), record)
    stub.put_state(keys.NEWEST, record["epoch"])
    stub.del_state(keys.BUILDING)
    stub.set_event("FilterPublished", record)
    return record


def _page(stub: Stub, start: str, end: str, limit: int) -> tuple[list[str], str | None]:
    """At most ``limit`` active devices from a place (epoch, then name) on, before the key ``end``; the place behind."""
    names: list[str] = []
    for key, _ in stub.get_state_by_range(keys.ACTIVE + start, end, limit + 1):
        place = key[len(keys.ACTIVE) :]
        if len(names) == limit:
            return names, place
        names.append(place[keys.EPOCH_DIGITS + 1 :])
    return names, None


def _place(value: Any, where: str) -> str:
    """An epoch and a device, as :func:`_page` has told them; "" for the beginning."""
    if type(value) is not str or (value and not _PLACE.fullmatch(value)):
        refuse(where, f'must be what the answer before told, or "" at first, not {shown(value)}')
    return value


def _set(bits: bytearray, names: Iterable[str], m: int, k: int) -> None:
    for each in names:
        for j in evidence.positions(each, m, k):
            bits[j >> 3] |= 0x80 >> (j & 7)


def _bits_of(stub: Stub, building: Record) -> bytearray:
    parts = range(_part_count(building["m"]))
    read = (base64.b64decode(stub.get_state(keys.bits(building["epoch"], part))) for part in parts)
    return bytearray(b"".join(read))


def _parts(bits: bytearray) -> list[bytes]:
    return [bytes(bits[start : start + PART_BYTES]) for start in range(0, len(bits), PART_BYTES)]


def _forget_bits(stub: Stub, record: Record) -> None:
    for part in range(_part_count(record["m"])):
        stub.del_state(keys.bits(record["epoch"], part))


def _byte_count(m: int) -> int:
    return int(evidence.byte_count(m))


def _part_count(m: int) -> int:
    return -(-_byte_count(m) // PART_BYTES)
