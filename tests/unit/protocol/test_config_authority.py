"""Who may change what: a table of changes, signers and verdicts, and what holds of every configuration."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.errors import PermissionDeniedError
from gridledger.identity.errors import MalformedPolicy
from gridledger.protocol.config_authority import (
    changes,
    check_authority,
    departing_after,
    entry_hash,
    explain,
    removed_after,
    verdicts,
    wrongly_returned,
)
from gridledger.protocol.config_policies import (
    ChannelPolicies,
    check_organisation_policies,
    default_policies,
    organisation_policies,
)
from tests.support.examples import examples

Config = dict[str, Any]
Edits = dict[str, Any]
GONE = object()
KINDS = {"A": "application", "B": "application", "C": "application", "O": "orderer", "P": "orderer", "W": "observer"}
APPLICATION, ORDERERS, CHANNEL = "/Channel/Application/Admins", "/Channel/Orderer/Admins", "/Channel/Admins"


def own(mspid: str) -> str:
    group = {"application": "Application", "orderer": "Orderer", "observer": "Observer"}[KINDS[mspid]]
    return f"/Channel/{group}/{mspid}/Admins"


def entry(mspid: str, kind: str = "application", anchors: Iterable[str] = ()) -> Config:
    policies = organisation_policies(mspid, kind)
    return {"kind": kind, "roots": [f"root of {mspid}"], "crls": [], "policies": policies, "anchors": list(anchors)}


def peer(mspid: str, port: int = 1) -> Config:
    return {"mspid": mspid, "url": f"https://peer:{port}", "certificate": f"of {mspid}"}


def config() -> Config:
    """Three application organisations with a peer each, two of orderers, an observer, and one that was removed."""
    return {
        "kind": "channel_config",
        "channel": "shard1",
        "sequence": 4,
        "capabilities": ["V1"],
        "organisations": {name: entry(name, kind, ["pa"] if name == "A" else []) for name, kind in KINDS.items()},
        "peers": {"pa": peer("A"), "pb": peer("B"), "pc": peer("C")},
        "orderers": {"o1": peer("O"), "o2": peer("P")},
        "policies": default_policies(),
        "acls": {},
        "chaincodes": {"kv": {"sequence": 1, "version": "1", "package": "0", "policy": "any.peer"}},
        "batch": {"max_message_count": 500},
        "limits": {"config_window_s": 604800},
        "consensus": "raft",
        "removed_organisations": {"R": entry_hash(entry("R"))},
    }


def edited(before: Config, edits: Edits) -> Config:
    """The next configuration: the values at these paths are others. In an ACL's name a colon stands for the slash."""
    after = copy.deepcopy(before)
    after["sequence"] += 1
    for path, value in edits.items():
        *parents, last = path.split("/")
        place = after
        for name in parents:
            place = place.setdefault(name, {})
        if value is GONE:
            del place[last.replace(":", "/")]
        else:
            place[last.replace(":", "/")] = value
    return after


def signers(text: str) -> list[tuple[str, str]]:
    """``A B.client``: an admin of A and a client of B."""
    pairs = [name.partition(".") for name in text.split()]
    return [(mspid, role or "admin") for mspid, _, role in pairs]


ALL_BUT_A = "B C O P W"
EVERYBODY = "A B C O P W"
REMOVAL_OF_A: Edits = {"organisations/A": GONE, "peers/pa": GONE}
RETURN_OF_R: Edits = {"organisations/R": entry("R"), "removed_organisations/R": GONE}
NEW = {"organisations/D": entry("D")}
NEW_WITH_PEER = {**NEW, "peers/pd": peer("D")}
YES = "yes"
NOBODY = "nobody"

ROWS: list[tuple[Edits, str, str]] = [
    # An organisation's own entry is changed by its own admins, and by nobody over their heads.
    ({"organisations/A/roots": ["another"]}, "A", YES),
    ({"organisations/A/roots": ["another"]}, ALL_BUT_A, own("A")),
    ({"organisations/A/roots": ["another"]}, "A.client A.peer B C", own("A")),
    ({"organisations/A/roots": ["root of A", "another"]}, ALL_BUT_A, own("A")),
    ({"organisations/A/crls": ["list"]}, "A", YES),
    ({"organisations/A/crls": ["list"]}, ALL_BUT_A, own("A")),
    ({"organisations/A/policies/Readers": "'A.admin'"}, "A", YES),
    ({"organisations/A/policies/Readers": "'A.admin'"}, ALL_BUT_A, own("A")),
    ({"organisations/A/policies/Writers": "'A.admin'"}, ALL_BUT_A, own("A")),
    ({"organisations/A/policies/Admins": "'A.client'"}, "A", YES),
    ({"organisations/A/policies/Admins": "'A.client'"}, "A.client", own("A")),
    ({"organisations/A/policies/Admins": "'A.client'"}, ALL_BUT_A, own("A")),
    ({"organisations/A/policies/Endorsement": "'A.admin'"}, ALL_BUT_A, own("A")),
    ({"organisations/A/anchors": []}, "A", YES),
    ({"organisations/A/anchors": []}, ALL_BUT_A, own("A")),
    ({"organisations/A/anchors": ["pb"]}, ALL_BUT_A, own("A")),
    ({"organisations/A/roots": ["x"], "organisations/B/roots": ["y"]}, "A", own("B")),
    ({"organisations/A/roots": ["x"], "organisations/B/roots": ["y"]}, "A B", YES),
    ({"organisations/O/roots": ["another"]}, "O", YES),
    ({"organisations/O/roots": ["another"]}, "A B C P W", own("O")),
    ({"organisations/O/crls": ["list"]}, "P", own("O")),
    ({"organisations/W/crls": ["list"]}, "W", YES),
    ({"organisations/W/crls": ["list"]}, "A B C O P", own("W")),
    ({"organisations/W/roots": ["another"]}, "A B C O P", own("W")),
    # Its peers are part of it.
    ({"peers/pa/url": "https://peer:2"}, "A", YES),
    ({"peers/pa/url": "https://peer:2"}, ALL_BUT_A, own("A")),
    ({"peers/pa/certificate": "another"}, ALL_BUT_A, own("A")),
    ({"peers/pa2": peer("A")}, "A", YES),
    ({"peers/pa2": peer("A")}, "A.peer", own("A")),
    ({"peers/pa2": peer("A")}, ALL_BUT_A, own("A")),
    ({"peers/pa": GONE}, "A", YES),
    ({"peers/pa": GONE}, ALL_BUT_A, own("A")),
    ({"peers/pa/mspid": "B"}, "A", own("B")),
    ({"peers/pa/mspid": "B"}, "B", own("A")),
    ({"peers/pa/mspid": "B"}, "A B", YES),
    ({"peers/px": peer("X")}, EVERYBODY, NOBODY),
    ({"peers/px": "a text"}, EVERYBODY, NOBODY),
    ({"peers/pa/mspid": 5}, EVERYBODY, NOBODY),
    ({"peers/pw": peer("W")}, "W", YES),  # that an observer has no peer is for the rules of a configuration
    # Who is a member is the affair of the application's admins; of an organisation of orderers, that of theirs.
    (NEW, "A B", YES),
    (NEW, "A", APPLICATION),
    (NEW, "A B.client C.peer", APPLICATION),
    (NEW, "O P W", APPLICATION),
    (NEW_WITH_PEER, "A B", YES),
    (NEW_WITH_PEER, "A O P", APPLICATION),
    ({"organisations/D": entry("D", "observer")}, "A C", YES),
    ({"organisations/D": entry("D", "observer")}, "A O P", APPLICATION),
    ({"organisations/D": entry("D", "orderer")}, "O P", YES),
    ({"organisations/D": entry("D", "orderer")}, "A B C O", ORDERERS),
    ({"organisations/D": entry("D", "king")}, EVERYBODY, NOBODY),
    ({"organisations/D": "a text"}, EVERYBODY, NOBODY),
    (REMOVAL_OF_A, "B C", YES),
    (REMOVAL_OF_A, "B O P W", APPLICATION),
    (REMOVAL_OF_A, "A", APPLICATION),
    ({"organisations/P": GONE, "orderers/o2": GONE}, "O P", YES),
    ({"organisations/P": GONE, "orderers/o2": GONE}, "A B C O", ORDERERS),
    ({"organisations/W": GONE}, "A B", YES),
    ({"organisations/W": GONE}, "W O P", APPLICATION),
    (RETURN_OF_R, "A B", YES),
    (RETURN_OF_R, "A O P", APPLICATION),
    ({"organisations/W/kind": "application"}, "A B", YES),
    ({"organisations/W/kind": "application"}, "W", APPLICATION),
    ({"organisations/W/kind": "orderer"}, "A B", ORDERERS),
    ({"organisations/W/kind": "orderer"}, "O P", APPLICATION),
    ({"organisations/W/kind": "orderer"}, "A B O P", YES),
    ({"organisations/W/kind": "king"}, EVERYBODY, NOBODY),
    ({"organisations/A/kind": "observer", "organisations/A/anchors": [], "peers/pa": GONE}, "B C", YES),
    ({"organisations/A/kind": "observer", "organisations/A/anchors": [], "peers/pa": GONE}, "A", APPLICATION),
    ({"organisations/A/kind": "observer", "peers/pa/certificate": "another"}, "B C", own("A")),
    ({"organisations/W/kind": "application", "peers/pw": peer("W")}, "A B", own("W")),
    ({"organisations/W/kind": "application", "peers/pw": peer("W")}, "A B W", YES),
    # Orderers and consensus.
    ({"orderers/o1/url": "https://o:2"}, "O P", YES),
    ({"orderers/o1/url": "https://o:2"}, "O", ORDERERS),
    ({"orderers/o1/url": "https://o:2"}, "A B C W", ORDERERS),
    ({"orderers/o3": peer("O")}, "O P", YES),
    ({"orderers/o2": GONE}, "A B C P", ORDERERS),
    ({"consensus": "etcd"}, "O P", YES),
    ({"consensus": "etcd"}, "A B C", ORDERERS),
    ({"policies/Orderer/Admins": "ANY Admins"}, "O P", YES),
    ({"policies/Orderer/Admins": "ANY Admins"}, "A B C O", ORDERERS),
    ({"policies/Orderer/BlockValidation": "ALL Writers"}, "A B C", ORDERERS),
    # What the application's organisations have agreed on.
    ({"policies/Application/Admins": "ANY Admins"}, "A B", YES),
    ({"policies/Application/Admins": "ANY Admins"}, "A O P W", APPLICATION),
    ({"policies/Application/Writers": "'A.member'"}, "O P", APPLICATION),
    ({"policies/Application/Endorsement": "ANY Endorsement"}, "B C", YES),
    ({"policies/Application/LifecycleEndorsement": "ANY Endorsement"}, "B", APPLICATION),
    ({"acls/peer:Propose": "/Channel/Admins"}, "A B", YES),
    ({"acls/peer:Propose": "/Channel/Admins"}, "A O P", APPLICATION),
    ({"chaincodes/kv/policy": "any.admin"}, "A B", YES),
    ({"chaincodes/kv/policy": "any.admin"}, "A", APPLICATION),
    ({"chaincodes/kw": {"sequence": 1}}, "O P A", APPLICATION),
    ({"chaincodes/kv": GONE, "removed_chaincodes/kv": 1}, "B C", YES),
    ({"chaincodes/kv": GONE, "removed_chaincodes/kv": 1}, "W O P", APPLICATION),
    ({"removed_chaincodes/kw": 3}, "O P", APPLICATION),
    ({"forwarders": [{"mspid": "A", "name": "x"}]}, "A C", YES),
    ({"forwarders": [{"mspid": "A", "name": "x"}]}, "A", APPLICATION),
    # What concerns all.
    ({"policies/Channel/Admins": "ANY Admins"}, "A B O P", YES),
    ({"policies/Channel/Admins": "ANY Admins"}, "A B C", CHANNEL),
    ({"policies/Channel/Readers": "ALL Readers"}, "O P W", CHANNEL),
    ({"policies/Observer/Readers": "'W.admin'"}, "A B O P", YES),
    ({"policies/Observer/Readers": "'W.admin'"}, "W A B C", CHANNEL),
    ({"capabilities": ["V1", "V2"]}, "A B O P", YES),
    ({"capabilities": ["V1", "V2"]}, "A B C W", CHANNEL),
    ({"limits/config_window_s": 300}, "B C O P", YES),
    ({"limits/config_window_s": 300}, "A B C O", CHANNEL),
    ({"batch/max_message_count": 1}, "A B O P", YES),
    ({"batch/max_message_count": 1}, "O P", CHANNEL),
    # What no rule names.
    ({"channel": "shard2"}, EVERYBODY, NOBODY),
    ({"kind": "another"}, EVERYBODY, NOBODY),
    ({"more": 1}, EVERYBODY, NOBODY),
    ({"more": None}, EVERYBODY, NOBODY),
    ({"policies": []}, EVERYBODY, NOBODY),
    ({"policies/More": {"Readers": "any.member"}}, EVERYBODY, NOBODY),
    ({"policies/Orderer": GONE}, EVERYBODY, NOBODY),
    ({"organisations": []}, EVERYBODY, NOBODY),
    ({"peers": []}, EVERYBODY, NOBODY),
    ({"organisations/A/more": 1}, EVERYBODY, NOBODY),
    ({"organisations/A/kind": GONE}, EVERYBODY, NOBODY),
    # What changes nothing.
    ({}, "A B", YES),
    ({}, "A O P", APPLICATION),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "who", "verdict"), ROWS, ids=[f"{', '.join(e) or 'nothing'} by {w}" for e, w, _ in ROWS]
)
def test_a_change_is_made_by_those_whose_affair_it_is(edits: Edits, who: str, verdict: str) -> None:
    before = config()
    after = edited(before, edits)
    if verdict == YES:
        check_authority(before, after, ChannelPolicies.of(before), signers(who))
        return
    with pytest.raises(PermissionDeniedError) as caught:
        check_authority(before, after, ChannelPolicies.of(before), signers(who))
    assert caught.value.details["policy"] == ("" if verdict == NOBODY else verdict)


def test_the_table_has_rows_for_every_rule() -> None:
    assert len(ROWS) >= 80
    assert len({(str(edits), who) for edits, who, _ in ROWS}) == len(ROWS)


ATTACKS: dict[str, Edits] = {
    "its root": {"organisations/A/roots": ["theirs"]},
    "a root beside its own": {"organisations/A/roots": ["root of A", "theirs"]},
    "its peer's certificate": {"peers/pa/certificate": "theirs"},
    "its anchor": {"peers/pz": peer("A"), "organisations/A/anchors": ["pz"]},
    "all of it": {"organisations/A": {**entry("A", anchors=["pa"]), "roots": ["theirs"]}, "peers/pa": peer("A", 2)},
}


@pytest.mark.parametrize("edits", ATTACKS.values(), ids=ATTACKS)
def test_all_others_together_do_not_become_an_organisation(edits: Edits) -> None:
    before = config()
    with pytest.raises(PermissionDeniedError, match="not signed by the admins of A") as caught:
        check_authority(before, edited(before, edits), ChannelPolicies.of(before), signers(ALL_BUT_A))
    assert caught.value.details["missing"] == ["A"]


def test_a_refusal_names_the_path_the_policy_and_who_is_missing() -> None:
    before = config()
    after = edited(before, {"limits/config_window_s": 300})
    with pytest.raises(PermissionDeniedError) as caught:
        check_authority(before, after, ChannelPolicies.of(before), signers("A P"))
    assert caught.value.message == (
        "limits/config_window_s is changed by /Channel/Admins (MAJORITY Admins), which the signatures do not meet; "
        "not signed by the admins of B, C, O"
    )
    assert caught.value.details == {
        "path": "limits/config_window_s",
        "policy": "/Channel/Admins",
        "missing": ["B", "C", "O"],
    }


def test_an_update_is_told_in_words_with_who_must_sign_and_who_has() -> None:
    before = config()
    after = edited(before, {"limits/config_window_s": 300, **NEW, "organisations/A/roots": ["x"], "more": 1})
    assert explain(before, after, ChannelPolicies.of(before), signers("A B")) == [
        (
            "limits/config_window_s changes from 604800 to 300: needs /Channel/Admins (MAJORITY Admins); "
            "signed by A, B; not met, still without C, O, P"
        ),
        "more is added as 1: nobody may change this",
        "organisations/A/roots changes: needs /Channel/Application/A/Admins ('A.admin'); signed by A; met",
        "organisations/D is added: needs /Channel/Application/Admins (MAJORITY Admins); signed by A, B; met",
    ]


def test_a_removed_organisation_is_remembered_as_it_was() -> None:
    before = config()
    removed = removed_after(before, edited(before, REMOVAL_OF_A))
    assert removed == {
        "A": entry_hash(entry("A")),
        "R": before["removed_organisations"]["R"],
    }
    assert removed_after(before, edited(before, RETURN_OF_R)) == {}


def test_the_orderer_that_is_taken_away_departs() -> None:
    before = config()
    gone = edited(before, {"orderers/o2": GONE})
    assert departing_after(before, gone) == {"o2": peer("P")}
    left = {**gone, "departing_orderers": {"o2": peer("P")}}
    assert departing_after(left, edited(left, {"limits/config_window_s": 300})) == {"o2": peer("P")}
    assert departing_after(left, edited(left, {"orderers/o2": peer("P")})) == {}
    assert departing_after(left, edited(left, {"organisations/P": GONE})) == {}


def test_the_hash_of_an_entry_is_of_its_roots_lists_and_policies() -> None:
    made = entry("A")
    text = (
        '{"crls":[],"policies":{"Admins":"\'A.admin\'","Endorsement":"\'A.peer\'",'
        "\"Readers\":\"OR('A.admin', 'A.peer', 'A.client')\",\"Writers\":\"OR('A.admin', 'A.peer', 'A.client')\"},"
        '"roots":["root of A"]}'
    )
    backwards = {**made, "policies": dict(reversed(made["policies"].items())), "kind": "observer", "anchors": ["pa"]}
    assert entry_hash(made) == entry_hash(backwards) == sha256(text.encode()).hexdigest()
    for member, value in (("roots", ["x"]), ("crls", ["x"]), ("policies", {})):
        assert entry_hash({**made, member: value}) != entry_hash(made)


RETURNS: list[tuple[Edits, bool]] = [
    (RETURN_OF_R, True),
    ({"organisations/R": {**entry("R"), "kind": "observer"}}, True),
    ({"organisations/R": {**entry("R"), "roots": ["theirs"]}}, False),
    ({"organisations/R": {**entry("R"), "roots": ["root of R", "theirs"]}}, False),
    ({"organisations/R": {**entry("R"), "crls": ["list"]}}, False),
    ({"organisations/R": {**entry("R"), "policies": organisation_policies("R", "orderer")}}, False),
    ({"organisations/R": entry("R"), "peers/pr": peer("R")}, False),
    ({"organisations/R": entry("R", anchors=["pa"])}, False),
    ({"organisations/S": entry("S")}, True),
]


@pytest.mark.parametrize(("edits", "good"), RETURNS)
def test_an_organisation_comes_back_as_it_left(edits: Edits, *, good: bool) -> None:
    before = config()
    assert wrongly_returned(before, edited(before, edits)) == ([] if good else ["R"])


@pytest.mark.parametrize("text", ["OR('A.admin', 'B.admin')", "'B.admin'", "MAJORITY Admins", "OutOf("])
def test_an_organisations_own_policy_names_its_own_principals(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        check_organisation_policies("A", {"Readers": text})


# What holds of every configuration.

MSPIDS = tuple("ABCOW")
PRINCIPAL = re.compile(r"'(\w+)\.(\w+)'")
kinds = st.fixed_dictionaries(
    {name: st.sampled_from(("application", "application", "orderer", "observer")) for name in MSPIDS}
)


def own_texts(mspid: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            f"'{mspid}.admin'",
            f"'{mspid}.client'",
            f"OR('{mspid}.admin', '{mspid}.peer')",
            f"AND('{mspid}.admin', '{mspid}.client')",
        ]
    )


group_texts = st.sampled_from(
    [f"{rule} {name}" for rule in ("ANY", "ALL", "MAJORITY") for name in ("Readers", "Admins", "Endorsement")]
    + ["OR('A.admin', 'B.client')", "AND('A.admin', 'O.admin')", "AND('B.client', 'W.peer', 'C.admin')"]
)
some_signers = st.lists(
    st.tuples(st.sampled_from(MSPIDS), st.sampled_from(("admin", "client", "peer"))), max_size=6, unique=True
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    names = ("Readers", "Writers", "Admins", "Endorsement")
    made = config()
    for mspid, kind in draw(kinds).items():
        policies = {name: draw(own_texts(mspid)) for name in names}
        made["organisations"][mspid] = {**entry(mspid, kind), "policies": policies}
    del made["organisations"]["P"]
    for group, texts in made["policies"].items():
        made["policies"][group] = {name: draw(group_texts) for name in texts}
    return made


def naive(made: Config, group: str, text: str, signed: list[tuple[str, str]]) -> bool:
    """Whether signers meet a policy, read off the configuration. No two principals here want one identity."""
    rule, _, name = text.partition(" ")
    if rule not in ("ANY", "ALL", "MAJORITY"):
        met = [(match[1], match[2]) in signed for match in PRINCIPAL.finditer(text)]
        return all(met) if text.startswith("AND") else any(met)
    kind_of = {"Application": "application", "Orderer": "orderer", "Observer": "observer"}
    if group == "Channel":
        there = {item["kind"] for item in made["organisations"].values()}
        groups = [other for other, kind in kind_of.items() if kind in there and name in made["policies"][other]]
        met = [naive(made, other, made["policies"][other][name], signed) for other in groups]
    else:
        members = [item for item in made["organisations"].values() if item["kind"] == kind_of[group]]
        met = [naive(made, "", item["policies"][name], signed) for item in members]
    counted = {"ANY": 1, "ALL": max(1, len(met)), "MAJORITY": len(met) // 2 + 1}[rule]
    return sum(met) >= counted


@settings(max_examples=examples(300), deadline=None)
@given(configs(), some_signers)
def test_every_policy_is_read_as_it_stands(made: Config, signed: list[tuple[str, str]]) -> None:
    policies = ChannelPolicies.of(made)
    for group, texts in made["policies"].items():
        for name, text in texts.items():
            path = f"/Channel/{name}" if group == "Channel" else f"/Channel/{group}/{name}"
            assert policies.at(path).satisfied_by(signed) == naive(made, group, text, signed), path


@st.composite
def own_changes(draw: st.DrawFn, mspid: str) -> Edits:
    """Whatever an organisation's admins may do to its entry and its peers."""
    policies = {name: draw(own_texts(mspid)) for name in ("Readers", "Writers", "Admins", "Endorsement")}
    edits = {
        f"organisations/{mspid}/policies": policies,
        f"organisations/{mspid}/roots": ["another"],
        f"organisations/{mspid}/crls": ["list"],
        f"peers/{mspid}2": peer(mspid),
    }
    return {path: edits[path] for path in draw(st.sets(st.sampled_from(sorted(edits)), min_size=1))}


@settings(max_examples=examples(300), deadline=None)
@given(st.data(), configs(), st.sampled_from(MSPIDS))
def test_no_change_of_an_own_entry_alters_what_anothers_signature_is_worth(
    data: st.DataObject, before: Config, mspid: str
) -> None:
    after = edited(before, data.draw(own_changes(mspid)))
    there = ChannelPolicies.of(before)
    needed = {verdict.policy for verdict in verdicts(before, after, there, ())}
    assert needed <= {there.admins_of(mspid), APPLICATION}  # the latter where nothing changes
    others = data.draw(some_signers.map(lambda found: [item for item in found if item[0] != mspid]))
    then = ChannelPolicies.of(after)
    for group, texts in before["policies"].items():
        for name in texts:
            path = f"/Channel/{name}" if group == "Channel" else f"/Channel/{group}/{name}"
            for size in range(len(others) + 1):
                for some in combinations(others, size):
                    assert there.at(path).satisfied_by(some) == then.at(path).satisfied_by(some), path


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [path] * bool(path) + [found for name in value for found in places(value[name], (*path, name))]


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(places(config())), st.sampled_from([GONE, None, 1, "x", [], {}, {"x": 1}]))
def test_every_difference_is_found(path: tuple[str, ...], value: Any) -> None:
    before = config()
    if path == ("sequence",):
        return
    after = edited(before, {})
    place = after
    for name in path[:-1]:
        place = place[name]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    empty = all(item.get(path[-1]) in ({}, None) and value is not None for item in (before, after)) and len(path) == 1
    same = {**after, "sequence": before["sequence"]} == before or empty
    assert bool(changes(before, after)) != same
