"""Who may change what in a channel's configuration.

An update is compared with the present configuration on the plain JSON of both, before any certificate in it is parsed.
Each difference has a path such as ``organisations/Org1MSP/roots``, and each path a rule that names the policies, all of
the present configuration, which the update's signatures must meet. What no rule names, nobody may change:

- An organisation's roots, revocation lists, policies and anchors, and its peers, are changed by its own admins alone.
- Which organisations there are, and of which kind, is changed by the admins of the application organisations; where an
  organisation of the orderers comes or goes, by theirs. It brings its peers along, and takes them along.
- Orderers, consensus and the orderers' policies: the admins of the orderer organisations.
- Chaincodes, forwarders, ACLs and the application's policies: the admins of the application organisations.
- The channel's and the observers' policies, capabilities and all bounds: the channel's admins, which are both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from gridledger import jsontext
from gridledger.errors import PermissionDeniedError
from gridledger.protocol.config_policies import (
    APPLICATION_ADMINS,
    CHANNEL_ADMINS,
    GROUPS,
    ORDERER,
    ORDERER_ADMINS,
    ChannelPolicies,
)
from gridledger.protocol.fields import hash_of

Json = Mapping[str, Any]
Path = tuple[str, ...]
MAX_WORDS_OF_A_VALUE = 60


class Absent(Enum):
    """No such member: a value that no JSON has."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two configurations. ``before`` and ``after`` are JSON values, or ABSENT."""

    path: Path
    before: Any
    after: Any

    @property
    def name(self) -> str:
        """The path as text."""
        return "/".join(self.path)

    @property
    def words(self) -> str:
        """What changes, in words."""
        if self.before is ABSENT:
            return f"{self.name} is added" + (f" as{after}" if (after := _shown(self.after)) else "")
        if self.after is ABSENT:
            return f"{self.name} is removed"
        before, after = _shown(self.before), _shown(self.after)
        return f"{self.name} changes" + (f" from{before} to{after}" if before and after else "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the signatures of an update are worth for one change and one policy that it must meet.

    ``policy`` is the policy's path, empty where nobody may make the change. ``signed`` are the organisations that the
    policy names and whose admins have signed, ``missing`` those that have not: where the policy asks for some of them
    only, not all of these are needed.
    """

    change: Change
    policy: str
    text: str
    met: bool
    signed: tuple[str, ...]
    missing: tuple[str, ...]


_LEVELS: Final = {
    "organisations": 2,
    "policies": 2,
    **dict.fromkeys(("peers", "orderers", "chaincodes", "removed_chaincodes", "acls", "batch", "limits"), 1),
    "removed_organisations": 1,
    "departing_orderers": 1,
}
"""How far below a member of the configuration differences are told apart; 0 for all others."""


def changes(before: Json, after: Json) -> list[Change]:
    """The differences of two configurations, by path. The sequence, which every update changes, is none of them.

    Numbers that are equal and written in another way (1 and 1.0) count as equal: reading the configuration refuses all
    but integers.
    """
    found: list[Change] = []
    for name in sorted((before.keys() | after.keys()) - {"sequence"}):
        old, new = before.get(name, ABSENT), after.get(name, ABSENT)
        if levels := _LEVELS.get(name, 0):  # a section that is empty may be absent
            old, new = ({} if value is ABSENT else value for value in (old, new))
        found += _differences((name,), old, new, levels)
    return found


def _differences(path: Path, before: Any, after: Any, levels: int) -> Iterator[Change]:
    if levels and isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from _differences((*path, name), before.get(name, ABSENT), after.get(name, ABSENT), levels - 1)
    elif before is not after and before != after:
        yield Change(path, before, after)


_Rule = Callable[[Change, Json, Json], Collection[str]]
"""The paths of the policies that must be met, all of them; none: nobody may make the change."""

_UNRULED: Final = ("removed_organisations", "departing_orderers")
"""Follow from the other members, and are held to what they say (:func:`removed_after`, :func:`departing_after`)."""


def _by(*policies: str) -> _Rule:
    return lambda _change, _before, _after: policies


def _membership(change: Change, before: Json, after: Json) -> Collection[str]:
    return _of_membership(change.path[1], before, after)


def _of_membership(mspid: str, before: Json, after: Json) -> Collection[str]:
    """Whose affair it is whether an organisation is a member, and of which kind: of both kinds' where that changes."""
    kinds = [kind for config in (before, after) if (kind := _kind(config, mspid)) is not None]
    if not kinds or any(kind not in GROUPS for kind in kinds):
        return ()
    return sorted({ORDERER_ADMINS if kind == ORDERER else APPLICATION_ADMINS for kind in kinds})


def _own(change: Change, before: Json, _after: Json) -> Collection[str]:
    return (_own_admins(change.path[1], before),)


def _anchors(change: Change, before: Json, after: Json) -> Collection[str]:
    mspid = change.path[1]
    if change.after == [] and _kind(before, mspid) != _kind(after, mspid):
        return _of_membership(mspid, before, after)  # anchors are peers, which go along
    return _own(change, before, after)


def _peer(change: Change, before: Json, after: Json) -> Collection[str]:
    """The admins of the peer's organisation, before and after; where that comes or goes, whose affair that is."""
    needed: set[str] = set()
    for node in (change.before, change.after):
        if node is ABSENT:
            continue
        owner = node.get("mspid") if isinstance(node, dict) else None
        if not isinstance(owner, str):
            return ()
        old, new = _kind(before, owner), _kind(after, owner)
        goes_along = old is None or new is None or (old != new and change.after is ABSENT)
        found = _of_membership(owner, before, after) if goes_along else (_own_admins(owner, before),)
        if not found:
            return ()
        needed.update(found)
    return sorted(needed)


RULES: Final[tuple[tuple[Path, _Rule], ...]] = (
    (("organisations", "*"), _membership),
    (("organisations", "*", "kind"), _membership),
    (("organisations", "*", "roots"), _own),
    (("organisations", "*", "crls"), _own),
    (("organisations", "*", "policies"), _own),
    (("organisations", "*", "anchors"), _anchors),
    (("peers", "*"), _peer),
    (("orderers", "*"), _by(ORDERER_ADMINS)),
    (("consensus",), _by(ORDERER_ADMINS)),
    (("policies", "Orderer", "*"), _by(ORDERER_ADMINS)),
    (("policies", "Application", "*"), _by(APPLICATION_ADMINS)),
    (("acls", "*"), _by(APPLICATION_ADMINS)),
    (("chaincodes", "*"), _by(APPLICATION_ADMINS)),
    (("removed_chaincodes", "*"), _by(APPLICATION_ADMINS)),
    (("forwarders",), _by(APPLICATION_ADMINS)),
    (("policies", "Channel", "*"), _by(CHANNEL_ADMINS)),
    (("policies", "Observer", "*"), _by(CHANNEL_ADMINS)),
    (("capabilities",), _by(CHANNEL_ADMINS)),
    (("limits", "*"), _by(CHANNEL_ADMINS)),
    (("batch", "*"), _by(CHANNEL_ADMINS)),
)
"""By path: whose affair a change is. The first pattern of the path's length that fits; ``*`` is any name."""


def policies_for(change: Change, before: Json, after: Json) -> Collection[str]:
    """The paths of the policies that a change must meet, all of them; none where nobody may make it."""
    for pattern, rule in RULES:
        if len(pattern) == len(change.path) and all(a in ("*", b) for a, b in zip(pattern, change.path, strict=True)):
            return rule(change, before, after)
    return ()


def verdicts(
    before: Json, after: Json, policies: ChannelPolicies, signers: Collection[tuple[str, str]]
) -> Iterator[Verdict]:
    """What the members who have signed, as (MSP id, role), are worth for each difference, one for each policy that it
    must meet. An update that changes nothing but the sequence is the affair of the application's admins."""
    worth: dict[str, _Worth] = {}
    for change in changes(before, after) or [Change(("sequence",), ABSENT, ABSENT)]:
        if change.path[0] in _UNRULED:
            continue
        needed = (APPLICATION_ADMINS,) if change.path == ("sequence",) else policies_for(change, before, after)
        for path in needed:
            if path not in worth:
                worth[path] = _worth(path, policies, signers)
            yield Verdict(change, path, *worth[path])
        if not needed:
            yield Verdict(change, "", "", met=False, signed=(), missing=())


class _Worth(NamedTuple):
    """What the signers are worth to one policy: the end of a :class:`Verdict`."""

    text: str
    met: bool
    signed: tuple[str, ...]
    missing: tuple[str, ...]


def _worth(path: str, policies: ChannelPolicies, signers: Collection[tuple[str, str]]) -> _Worth:
    policy = policies.at(path)
    signed = {mspid for mspid in policy.mspids if has_signed(mspid, policies, signers)}
    met = policy.satisfied_by(signers)
    return _Worth(policy.text, met, tuple(sorted(signed)), tuple(sorted(policy.mspids - signed)))


def has_signed(mspid: str, policies: ChannelPolicies, signers: Collection[tuple[str, str]]) -> bool:
    """Whether these signers are the admins of an organisation of the channel, as its own Admins policy has it."""
    try:
        path = policies.admins_of(mspid)
    except KeyError:
        return False
    return policies.at(path).satisfied_by(signers)


def check_authority(before: Json, after: Json, policies: ChannelPolicies, signers: Collection[tuple[str, str]]) -> None:
    """Raise :class:`PermissionDeniedError` for the first change that the signers may not make. Its details name the
    ``path``, the ``policy``, and whose signatures are ``missing``."""
    for verdict in verdicts(before, after, policies, signers):
        if verdict.met:
            continue
        path = verdict.change.name
        if not verdict.policy:
            raise PermissionDeniedError(
                f"nobody may change {path}: no rule of this channel names it", path=path, policy="", missing=[]
            )
        raise PermissionDeniedError(
            f"{path} is changed by {verdict.policy} ({verdict.text}), which the signatures do not meet; not signed by "
            f"the admins of {', '.join(verdict.missing) or 'enough members'}",
            path=path,
            policy=verdict.policy,
            missing=list(verdict.missing),
        )


def explain(before: Json, after: Json, policies: ChannelPolicies, signers: Collection[tuple[str, str]]) -> list[str]:
    """The difference in words, a line for each change, with who must sign and who has."""
    lines: list[str] = []
    for verdict in verdicts(before, after, policies, signers):
        if not verdict.policy:
            lines.append(f"{verdict.change.words}: nobody may change this")
            continue
        needs = f"{verdict.change.words}: needs {verdict.policy} ({verdict.text})"
        signed = f"signed by {', '.join(verdict.signed) or 'nobody of them'}"
        rest = "met" if verdict.met else f"not met, still without {', '.join(verdict.missing) or 'enough members'}"
        lines.append(f"{needs}; {signed}; {rest}")
    return lines


def entry_hash(entry: Json) -> str:
    """What is remembered of an organisation that is removed: the SHA-256 of its roots, lists and policies.

    A hash, so that a removal makes room whatever the organisation has filled its entry with.
    """
    policies = dict(sorted(entry["policies"].items()))
    return hash_of(jsontext.dumps({"crls": entry["crls"], "policies": policies, "roots": entry["roots"]}))


def removed_after(before: Json, after: Json) -> dict[str, str]:
    """What ``removed_organisations`` of the next configuration must be: who was removed by now and is not back."""
    there = after["organisations"]
    known = {name: entry for name, entry in before.get("removed_organisations", {}).items() if name not in there}
    return known | {name: entry_hash(item) for name, item in before["organisations"].items() if name not in there}


def departing_after(before: Json, after: Json) -> Json:
    """What ``departing_orderers`` of the next configuration must be: whom this update takes away; where it changes no
    set of orderers, who departed before and is of an orderer organisation still."""
    if before["orderers"].keys() != after["orderers"].keys():
        return {name: node for name, node in before["orderers"].items() if name not in after["orderers"]}
    departing: Json = before.get("departing_orderers", {})
    return {name: node for name, node in departing.items() if _kind(after, node["mspid"]) == ORDERER}


def wrongly_returned(before: Json, after: Json) -> list[str]:
    """The organisations that come back as others than they left: with other roots, lists or policies, or with peers or
    anchors, which their own admins add afterwards. Else a removal would be the way to change one over its head."""
    removed: Json = before.get("removed_organisations", {})
    back = [mspid for mspid in sorted(removed) if mspid in after["organisations"]]
    owners = {node["mspid"] for node in after["peers"].values()}
    entries: Json = after["organisations"]
    return [
        mspid
        for mspid in back
        if entry_hash(entries[mspid]) != removed[mspid] or entries[mspid]["anchors"] or mspid in owners
    ]


def _kind(config: Json, mspid: str) -> str | None:
    """The kind that an organisation has in a configuration; None where it has no such organisation, an empty text where
    what stands there is none."""
    organisations = config.get("organisations")
    if not isinstance(organisations, dict) or mspid not in organisations:
        return None
    entry = organisations[mspid]
    kind = entry.get("kind") if isinstance(entry, dict) else None
    return kind if isinstance(kind, str) else ""


def _own_admins(mspid: str, before: Json) -> str:
    return f"/Channel/{GROUPS[_kind(before, mspid) or '']}/{mspid}/Admins"


def _shown(value: Any) -> str:
    """A short value after a blank; nothing for one that is long or has parts."""
    if isinstance(value, dict | list) or len(str(value)) > MAX_WORDS_OF_A_VALUE:
        return ""
    return f" {value}"
