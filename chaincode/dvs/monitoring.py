"""ComputeVSI: a frame judged, and answered where it must be. LocalController runs inside, in the same transaction.

What is read when is part of the specification: a quiet frame touches its own key and the record, nothing in common
with other frames, so that frames can be in flight together. The VVC list is read on an alarm, the matrices only when
an action may follow. A record with ``release`` has calm frames read the list as well, and what stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import refuse

from . import keys
from .arguments import components_of
from .consistency import contradiction
from .control import Injection, local_controller, voltage_suffices
from .frames import Frame, check_fit, check_frame, is_stale
from .grouping import CORRECTED, Record, impedances, load_buses
from .outcomes import ESCALATE, HELD, INJECTED, LENT, NORMAL, PENDING, RELEASED, STALE, SUSPECT, VOLTAGE_OK
from .permissions import require_aggregator_msp, require_aggregator_of
from .records import component_records, read_record, refuse_missing
from .release import Homes, choose_release, is_held
from .resources import Resources, read_resources, write_resources
from .standing import read_standing, write_standing
from .vsi import indices, published_outflows, weakest

#: Old results that one frame deletes at most, where the record has ``retention_s``.
DELETED_PER_FRAME: Final = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """Indices (VSI, bus) ascending; the weak bus and the threshold that judged it, None without load buses.

    ``homes``: what judged each bus.
    """

    ranked: list[tuple[float, int]]
    weak: int | None
    threshold: float | None
    alarm: bool
    homes: Homes


def compute_vsi(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """ComputeVSI(frame): the result, which is stored too; with an injection the list and the action as well."""
    frame = check_frame(argument)
    require_aggregator_of(caller, frame.group)
    head = read_record(stub, frame.group)
    parts = component_records(stub, frame.group) if "_" in frame.group else [head]
    require_aggregator_msp(caller, frame.group, parts)
    check_fit(frame, head)
    key = keys.vsi(frame.group, frame.time)
    if stub.get_state(key) is not None:
        refuse("time", f"there is a frame of group {frame.group} with time {frame.time} already: a duplicate")
    homes = _homes(head, parts)
    judgement = judge(frame, head, homes)
    suspect = _suspect(stub, frame, head)
    if suspect is not None:
        outcome, control = SUSPECT, None
    elif head["profile"] == CORRECTED and is_stale(frame, homes):
        outcome, control = STALE, None
    else:
        outcome, control = _answer(stub, frame, head, judgement)
    result = {
        "group": frame.group,
        "time": frame.time,
        "profile": head["profile"],
        "vsi": [{"bus": bus, "vsi": vsi} for vsi, bus in judgement.ranked],
        "weak_bus": judgement.weak,
        "threshold": judgement.threshold,
        "alarm": judgement.alarm,
        "outcome": outcome,
        "control": control,
    }
    if suspect is not None:
        result["suspect"] = suspect
    stub.put_state(key, result)
    _forget(stub, frame, head)
    _announce(stub, result)
    return result


def judge(frame: Frame, head: Record, homes: Sequence[Record]) -> Judgement:
    """The indices of a frame. ``homes``: the records with impedances and thresholds, the group's or its components'."""
    loads = load_buses(head)
    found: dict[int, tuple[float, float]] = {}
    thresholds: dict[int, float] = {}
    for home in homes:
        found |= impedances(home)
        threshold: float = home["threshold"]
        thresholds |= dict.fromkeys(load_buses(home), threshold)
    if len(homes) > 1:
        for bus in loads:
            if bus not in found:
                refuse("group", f"bus {bus} of group {head['id']} is a load bus of no component's record")
        found = {bus: found[bus] for bus in loads}
    outflows = None if head["profile"] == CORRECTED else published_outflows(frame.branches, loads)
    ranked = indices(frame.buses, frame.base, found, outflows)
    judged_by = Homes(found, thresholds, ranked)
    if not ranked:
        return Judgement([], None, None, False, judged_by)
    vsi, weak = ranked[0] if len(homes) == 1 else weakest(ranked, thresholds)
    return Judgement(ranked, weak, thresholds[weak], vsi < thresholds[weak], judged_by)


def _homes(head: Record, parts: Sequence[Record | None]) -> list[Record]:
    """The records that judge: the group's own; for a merged one of profile ``corrected`` ``parts``, its components'."""
    if len(parts) == 1 or head["profile"] != CORRECTED:
        return [head]
    homes = []
    for component, home in zip(components_of(head["id"]), parts, strict=True):
        if home is None:
            refuse_missing(component)
        homes.append(home)
    for home in homes:
        for name in ("profile", "base"):
            if home[name] != head[name]:
                refuse("group", f"the records of {home['id']} and {head['id']} have another {name}: {home[name]!r}")
    return homes


def _suspect(stub: Stub, frame: Frame, head: Record) -> dict[str, int] | None:
    """Where the frame contradicts itself, if its record has ``check``."""
    if "check" not in head:
        return None
    lines: Record | None = stub.get_state(keys.check(frame.group))
    if lines is None:
        refuse("group", f"the lines of group {frame.group} are not on this channel; submit its record again")
    return contradiction(frame, head, lines)


def _answer(stub: Stub, frame: Frame, head: Record, judgement: Judgement) -> tuple[str, dict[str, Any] | None]:
    """Outcome and control of a frame that is neither suspect nor stale; writes what an action changes."""
    weak = judgement.weak
    if weak is None:
        return NORMAL, None
    if not judgement.alarm:
        return _answer_calm(stub, frame, head, judgement) if "release" in head else (NORMAL, None)
    resources = read_resources(stub, frame.group)
    pending = _is_pending(frame, resources)
    if resources.lent is not None:
        return LENT, None
    if pending:
        return PENDING, None
    if voltage_suffices(head, frame.buses[weak][2]):
        return VOLTAGE_OK, None
    available = resources.available(load_buses(head))
    if not any(amount > 0.0 for amount in available.values()):
        return ESCALATE, None
    injection = local_controller(head, _matrices(stub, frame.group), frame.buses, weak, available)
    if injection is None:
        return ESCALATE, None
    if "release" in head:
        standing = read_standing(stub, frame.group)
        standing.injected(injection, frame.group, frame.time, head["release"]["hold_s"])
        write_standing(stub, frame.group, standing)
    return INJECTED, _act(stub, frame, head, resources, injection)


def _answer_calm(stub: Stub, frame: Frame, head: Record, judgement: Judgement) -> tuple[str, dict[str, Any] | None]:
    """Outcome and control of a frame without alarm, where the record has ``release``."""
    resources = read_resources(stub, frame.group)
    pending = _is_pending(frame, resources)
    if resources.lent is not None:
        return NORMAL, None
    if pending:
        return PENDING, None
    standing = read_standing(stub, frame.group)
    release = choose_release(stub, frame, head, judgement.homes, resources=resources, standing=standing)
    if release is None:
        return HELD if is_held(frame.group, head, standing) else NORMAL, None
    standing.taken_back(release.entry, -release.injection.q_pu, frame.time)
    write_standing(stub, frame.group, standing)
    return RELEASED, _act(stub, frame, head, resources, release.injection)


def _is_pending(frame: Frame, resources: Resources) -> bool:
    """Whether the frame does not show the id's last action yet; refused where it shows more than were taken."""
    applied = frame.applied if frame.applied is not None else resources.actions
    if applied > resources.actions:
        refuse("applied", f"group {frame.group} has taken {resources.actions} actions, the frame shows {applied}")
    return applied < resources.actions or (resources.last is not None and frame.time <= resources.last)


def _matrices(stub: Stub, group: str) -> Record:
    matrices: Record | None = stub.get_state(keys.matrix(group))
    if matrices is None:
        refuse("group", f"the matrices of group {group} are not on this channel; submit its record again")
    return matrices


def _act(stub: Stub, frame: Frame, head: Record, resources: Resources, injection: Injection) -> dict[str, Any]:
    """Write list and action of an injection, or of one that is taken back (its amounts are negative); the control."""
    source = str(injection.source)
    resources.vvc[source] = resources.vvc.get(source, 0.0) - injection.q_pu
    resources.actions += 1
    resources.last = frame.time
    control = {
        "weak_bus": injection.weak,
        "source_bus": injection.source,
        "sensitivity": injection.sensitivity,
        "q_required_pu": injection.required_pu,
        "q_pu": injection.q_pu,
        "q_mvar": injection.q_pu * frame.base,
        "searched": injection.searched,
        "vvc_left": resources.listed(load_buses(head)),
        "action": resources.actions,
    }
    write_resources(stub, frame.group, resources)
    stub.put_state(keys.action(frame.group, resources.actions), {"time": frame.time, "control": control})
    return control


def _forget(stub: Stub, frame: Frame, head: Record) -> None:
    """Delete the oldest results that are older than the record's ``retention_s``, a few with each frame."""
    if "retention_s" not in head:
        return
    oldest_kept = frame.time - head["retention_s"] * 1_000_000
    if oldest_kept <= 0:
        return
    start, end = keys.vsi(frame.group, 0), keys.vsi(frame.group, oldest_kept)
    for key, _ in stub.get_state_by_range(start, end, DELETED_PER_FRAME):
        stub.del_state(key)


def _announce(stub: Stub, result: dict[str, Any]) -> None:
    if result["outcome"] in (INJECTED, RELEASED):
        stub.set_event("ControlAction", {name: result[name] for name in ("group", "time", "control")})
    elif result["outcome"] == ESCALATE:
        weak = next(entry for entry in result["vsi"] if entry["bus"] == result["weak_bus"])
        event = {name: result[name] for name in ("group", "time", "weak_bus", "threshold")}
        stub.set_event("Escalated", event | {"vsi": weak["vsi"]})
