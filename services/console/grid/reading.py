"""Reading blocks: what the transactions of ``dvs`` and ``alarms`` in a block tell of the grid.

What is valid was parsed by peers, so texts are trusted to be JSON; what they say is not trusted, as any chaincode may
be named so. A transaction that cannot be read is told as such, and hinders no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.events import FullBlockEvent
from services.console.grid.members import (
    UnreadableError,
    amounts,
    group_id,
    integer,
    kind_name,
    list_of,
    members_of,
    number,
    text,
    text_or_none,
)
from services.console.grid.told import (
    AcknowledgedTold,
    Action,
    BlockTold,
    FrameTold,
    MergeTold,
    Place,
    RecordTold,
    ResourcesTold,
    ShelvedTold,
    Told,
    UnreadableTold,
)

DVS: Final = "dvs"
ALARMS: Final = "alarms"
_LOAD: Final = 1
_STATUSES: Final = ("gathering", "open", "returning", "closed")
_COMPUTE: Final = "ComputeVSI"
_MAX_OUTCOME: Final = 32
_MAX_COMPONENTS: Final = 32

Members = Mapping[str, Any]
_Reader = Callable[[Place, Members, Members], Told | None]


def read_block(event: FullBlockEvent, *, dvs: str = DVS, alarms: str = ALARMS) -> BlockTold:
    """What a block tells. ``dvs`` and ``alarms``: the names of the two chaincodes on the channel."""
    head, told, invalid = event.event, [], 0
    functions = {dvs: _OF_DVS, alarms: _OF_ALARMS}
    for index, (envelope, code, tx_id) in enumerate(zip(event.block.envelopes, head.codes, head.tx_ids, strict=True)):
        try:
            texts = jsontext.loads_texts(envelope)
            proposal = jsontext.loads(texts["proposal"])
            chaincode, function = proposal["chaincode"], proposal["function"]
            reader = functions[chaincode][function]
        except (GridLedgerError, KeyError, TypeError):
            continue  # a configuration, another chaincode or function, or what no peer could read either
        if code != TxValidationCode.VALID:
            invalid += function == _COMPUTE
            continue
        found = _read(reader, Place(tx_id, head.number, index, 0), function, proposal, texts)
        if found is not None:
            told.append(found)
    return BlockTold(head.channel, head.number, head.timestamp_us, tuple(told), invalid)


def _read(reader: _Reader, place: Place, function: str, proposal: Members, texts: Mapping[str, str]) -> Told | None:
    try:
        place = Place(place.tx_id, place.block, place.index, integer(proposal["time"], "time"))
        result = members_of(jsontext.loads_trusted(texts["result"]), "result")
        payload = members_of(members_of(result["response"], "response")["payload"], "payload")
        args = proposal["args"]
        argument = members_of(args[0] if type(args) is list and args else None, "argument")
        told = reader(place, argument, payload)
    except UnreadableError as error:
        return UnreadableTold(place, function, str(error))
    except KeyError as error:
        return UnreadableTold(place, function, f"{error.args[0]!r} is missing")
    except (GridLedgerError, ValueError) as error:
        return UnreadableTold(place, function, str(error)[:200])
    return told


def acknowledgement_of(record: Any) -> AcknowledgedTold | None:
    """An item of ``ListAcknowledged``; None where it is none."""
    try:
        told = members_of(record, "record")
        return _acknowledged(Place(text(told["tx"], "tx"), 0, 0, 0), {}, told)
    except (UnreadableError, KeyError):
        return None


def shelf_of(record: Any) -> ShelvedTold | None:
    """An item of ``ListShelved``; None where it is none."""
    try:
        told = members_of(record, "record")
        return _shelved(Place(text(told["tx"], "tx"), 0, 0, 0), {}, told)
    except (UnreadableError, KeyError):
        return None


def amounts_of(value: Any) -> dict[int, float]:
    """A VVC list as a query answers it; empty where it is none."""
    try:
        return amounts(value, "vvc")
    except UnreadableError:
        return {}


def _frame(place: Place, argument: Members, payload: Members) -> FrameTold:
    vm = {}
    for row in list_of(argument["buses"], "buses"):
        bus = members_of(row, "buses")
        vm[integer(bus["bus"], "bus")] = number(bus["Vm"], "Vm")
    vsi = {}
    for row in list_of(payload["vsi"], "vsi"):
        entry = members_of(row, "vsi")
        vsi[integer(entry["bus"], "bus")] = number(entry["vsi"], "vsi")
    weak, threshold, suspect = payload["weak_bus"], payload["threshold"], payload.get("suspect")
    if weak is not None and integer(weak, "weak_bus") not in vsi:
        raise UnreadableError("weak_bus has no VSI")
    return FrameTold(
        place=place,
        group=group_id(payload["group"]),
        time_us=integer(payload["time"], "time"),
        vm=vm,
        vsi=vsi,
        weak_bus=weak,
        threshold=None if threshold is None else number(threshold, "threshold"),
        alarm=payload["alarm"] is True,
        outcome=text(payload["outcome"], "outcome", _MAX_OUTCOME),
        action=_action(payload["control"]),
        suspect=None if suspect is None else _suspect(members_of(suspect, "suspect")),
    )


def _action(control: Any) -> Action | None:
    if control is None:
        return None
    told = members_of(control, "control")
    return Action(
        number=integer(told["action"], "action"),
        weak_bus=integer(told["weak_bus"], "weak_bus"),
        source_bus=integer(told["source_bus"], "source_bus"),
        q_mvar=number(told["q_mvar"], "q_mvar"),
        vvc_left=amounts(told["vvc_left"], "vvc_left"),
    )


def _suspect(told: Members) -> str:
    """The bus or branch where a frame contradicts itself."""
    for what in ("bus", "branch"):
        if what in told:
            return f"{what} {integer(told[what], what)}"
    raise UnreadableError("suspect names neither bus nor branch")


def _merge(place: Place, _: Members, payload: Members) -> MergeTold | None:
    """``no_group`` tells of no merge."""
    if payload["merge"] is None:
        return None
    status = payload["status"]
    if status not in _STATUSES:
        raise UnreadableError("status is none of a merge")
    components = members_of(payload["components"], "components")
    if len(components) > _MAX_COMPONENTS:
        raise UnreadableError("components are too many")
    return MergeTold(
        place,
        integer(payload["merge"], "merge"),
        group_id(payload["group"]),
        status,
        {group_id(group, "components"): text(one, "components", _MAX_OUTCOME) for group, one in components.items()},
    )


def _resources(place: Place, _: Members, payload: Members) -> ResourcesTold:
    return ResourcesTold(place, group_id(payload["group"]), amounts(payload["vvc"], "vvc"))


def _afresh(place: Place, _: Members, payload: Members) -> ResourcesTold:
    return ResourcesTold(place, group_id(payload["group"]), amounts(payload["vvc"], "vvc"), afresh=True)


def _lent(place: Place, argument: Members, _: Members) -> ResourcesTold:
    """A list that is lent is 0 at home until it is restored."""
    return ResourcesTold(place, group_id(argument["group"]), {})


def _record(place: Place, argument: Members, _: Members) -> RecordTold:
    dim, kind = list_of(argument["dim"], "dim"), list_of(argument["kind"], "kind")
    threshold = argument.get("threshold")
    return RecordTold(
        place,
        group_id(argument["id"], "id"),
        None if threshold is None else number(threshold, "threshold"),
        frozenset(integer(bus, "dim") for bus, one in zip(dim, kind, strict=True) if one == _LOAD),
    )


def _acknowledged(place: Place, _: Members, payload: Members) -> AcknowledgedTold:
    by = members_of(payload["by"], "by")
    return AcknowledgedTold(
        place=place,
        group=group_id(payload["group"]),
        kind=kind_name(payload["kind"]),
        raised_us=integer(payload["raised_us"], "raised_us"),
        by=text(by["id"], "by"),
        mspid=text(by["mspid"], "by"),
        time_us=integer(payload["time_us"], "time_us"),
        note=text_or_none(payload["note"], "note"),
    )


def _shelved(place: Place, _: Members, payload: Members) -> ShelvedTold:
    by = members_of(payload["by"], "by")
    until = payload.get("until_us")
    return ShelvedTold(
        place=place,
        group=group_id(payload["group"]),
        kind=kind_name(payload["kind"]),
        until_us=None if until is None else integer(until, "until_us"),
        by=text(by["id"], "by"),
        mspid=text(by["mspid"], "by"),
        reason=text_or_none(payload.get("reason"), "reason"),
    )


_OF_DVS: Final[Mapping[str, _Reader]] = {
    _COMPUTE: _frame,
    "GlobalController": _merge,
    "Adopt": _merge,
    "Split": _merge,
    "Close": _merge,
    "UpdateResources": _afresh,
    "Lend": _lent,
    "Restore": _resources,
    "InitialGrouping": _record,
}
_OF_ALARMS: Final[Mapping[str, _Reader]] = {"Acknowledge": _acknowledged, "Shelve": _shelved, "Unshelve": _shelved}
