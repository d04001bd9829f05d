"""Manifests from a hostile dealer: each fault is refused by name, and nothing is written."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import partial
from random import Random
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.contract import ContractError
from tests.support.vault_channel import (
    BASE,
    HEAD,
    IDS,
    TRANSFORMER,
    WEAK_FOR_3,
    S,
    VaultChannel,
    chaincode,
    changed,
    client,
    holder,
    joining,
    kept,
    manifest,
    module,
)

MIB = 1024 * 1024
SEED = 20_261_130


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("object", "a/b", "object: must be a name"),
        ("object", "a" * 65, "object: must be a name"),
        ("object", ".a", "object: must be a name"),
        ("object", ..., "object: is missing"),
        ("cycle", 0, "cycle: must lie within 1"),
        ("cycle", 1.0, "cycle: must be an integer"),
        ("layer", 1, "layer: is 1 for the cluster heads"),
        ("layer", 3, "layer: must lie within 1 and 2"),
        ("layer", True, "layer: must be an integer"),
        ("cluster", "heads", "layer: is 1 for the cluster heads"),
        ("profile", "none", "profile: must be sealed or"),
        ("profile", ["sealed"], "profile: must be sealed or"),
        ("t", 1, "t: must lie within 2"),
        ("n", 8, "n: must be the number of shares, 9"),
        ("n", 65, "n: must lie within 3 and 64"),
        ("length", 64 * MIB + 1, "length: must lie within 0 and 67108864"),
        ("length", -1, "length: must lie within 0"),
        ("length", 999, "length: must be that of all parts together, 1000"),
        ("parts", [], "parts: must be an array of 1 to 4"),
        ("parts.0.length", 16 * MIB + 1, "parts[0].length: must lie within 0 and 16777216"),
        ("parts.0.cipher_sha256", "00", "parts[0].cipher_sha256: must be 64"),
        ("parts.0.key", "00", "parts[0].key: is no field here"),
        ("head.part", 0, "head.part: is no field here"),
        ("head.channel", "other", "head.channel: must be 'simulate'"),
        ("head.object", "oil-2", "head.object: must be 'oil-1'"),
        ("head.version", 2, "head.version: must be 1"),
        ("head.version", True, "head.version: must be 1"),
        ("head.cycle", 2, "head.cycle: must be 1"),
        ("head.layer", 1, "head.layer: must be 2"),
        ("head.cluster", "M2", "head.cluster: must be 'M1'"),
        ("head.profile", "copies", "head.profile: must be 'sealed'"),
        ("head.t", 4, "head.t: must be 5"),
        ("head.ids.0", "1001", "head.ids: must be"),
        ("head.ids.0", 1000, "head.ids: must be"),
        ("head.length", 1001, "head.length: must be 1000"),
        ("head.length", ..., "head.length: is missing"),
        ("shares.1.holder", "m1-0", "shares[1].holder: m1-0 has share 0 already"),
        ("shares.1.id", "1000", "shares[1].id: 1000 has share 0 already"),
        ("shares.1.id", "0", "shares[1].id: must lie within 1"),
        ("shares.1.id", str(2**64), "shares[1].id: must lie within 1"),
        ("shares.1.id", 1001, "shares[1].id: must be an integer as decimal text"),
        ("shares.1.bytes", 301, "shares[1].bytes: shares of one object are of one size, 300"),
        ("shares.1.bytes", 72 * MIB + 1, "shares[1].bytes: must lie within"),
        ("shares.1.root", None, "shares[1].root: must be 64"),
        ("shares.1.key_sha256", None, "shares[1].key_sha256: must be 64"),
        ("shares.1.audit_root", "g" * 64, "shares[1].audit_root: must be 64"),
        ("shares.1.share", "AA==", "shares[1].share: is no field here"),
        ("shares.1", 7, "shares[1]: must be a JSON object"),
        ("shares", {}, "shares: must be an array of 1 to 64"),
        ("audits", 0, "audits: must lie within 1 and 1024"),
        ("audits", 1025, "audits: must lie within 1 and 1024"),
        ("audit_secret", "", "audit_secret: must be 1 to 135000 bytes in base64"),
        ("audit_secret", "x", "audit_secret: must be"),
        ("audit_secret", "A" * 180_004, "audit_secret: must be"),
        ("readers", "", "readers: policy, character 1:"),
        ("readers", "OR('A.client'", "readers: policy, character 14:"),
        ("readers", "all.client", "readers: policy, character 1: 'all' has no meaning"),
        ("readers", "x" * 2049, "readers: must be a policy of at most 2048"),
        ("readers", 5, "readers: must be a policy"),
        ("meta", [], "meta: must be an object"),
        ("meta.place", {"a": 1}, "meta.place: must be a string"),
        ("meta.place", 1.5, "meta.place: must be a string"),
        ("meta.place", 2**60, "meta.place: must lie within"),
        ("meta.place", "x" * 129, "meta.place: must be a string of 1 to 128"),
        ("meta.a\u200bb", 1, "meta: has a character that nobody sees: U+200B"),
        ("meta", {str(number): 1 for number in range(33)}, "meta: must be an object of at most 32"),
        ("share", "AA==", "share: is no field here"),
        ("version", 1, "version: is no field here"),
    ],
)
def test_a_fault_is_named(path: str, value: Any, message: str) -> None:
    VaultChannel().refused("PutObject", changed(manifest(), path, value), message, caller=HEAD)


@pytest.mark.parametrize("argument", [None, 5, "x", [], [{}], True])
def test_what_is_no_object_is_refused(argument: Any) -> None:
    VaultChannel().refused("PutObject", argument, "argument: must be a JSON object", caller=HEAD)


def test_parts_beyond_the_first_are_not_empty() -> None:
    argument = changed(manifest(), "parts", [{"length": 1000, "cipher_sha256": "00" * 32}] * 1)
    argument["parts"].append({"length": 0, "cipher_sha256": "00" * 32})
    VaultChannel().refused("PutObject", argument, "parts[1].length: is 0", caller=HEAD)


@pytest.mark.parametrize("lengths", [[0], [16 * MIB], [16 * MIB, 1], [16 * MIB] * 4])
def test_objects_of_nothing_to_64_mib_are_taken(lengths: list[int]) -> None:
    argument = manifest(length=sum(lengths))
    argument["parts"] = [{"length": length, "cipher_sha256": "00" * 32} for length in lengths]
    assert VaultChannel().call("PutObject", argument, HEAD)["length"] == sum(lengths)


def test_other_profiles_have_no_key_share() -> None:
    channel = VaultChannel()
    for profile in ("article", "shamir", "copies"):
        channel.put(profile, profile=profile)
        argument = changed(manifest("b", profile=profile), "shares.2.key_sha256", "00" * 32)
        channel.refused("PutObject", argument, "shares[2].key_sha256: must be null", caller=HEAD)


@pytest.mark.parametrize("profile", ["article", "sealed"])
def test_profile_article_and_an_id_that_is_weak_is_refused_by_name(profile: str) -> None:
    """The check of a manifest against its cycle alone: the form of a share refuses ids from 2^64 on before."""
    channel, ids = VaultChannel(), IDS | {"m2-3": WEAK_FOR_3}
    cycle = channel.call("GetCycle", {})
    of_cycle = cycle["clusters"][1]
    of_cycle["holders"][3]["id"] = WEAK_FOR_3
    argument = manifest(cluster="M2", holders=TRANSFORMER, ids=ids, profile=profile)
    check = partial(module("manifests").check_against_cycle, channel.stub(), argument, cycle, of_cycle)
    if profile == "article":
        with pytest.raises(ContractError, match=r"^shares\[3\].id: that of m2-3: \d{60}\.\.\. is weak for t = 3"):
            check()
    else:
        check()  # the id does not matter


def test_the_largest_manifest_is_under_256_kib_and_is_settled_in_a_moment() -> None:
    channel = VaultChannel()
    names = [f"m5-{'x' * 27}{number:02d}" for number in range(61)]
    ids = {name: str(2**64 - 1 - number) for number, name in enumerate(names)}
    for number, name in enumerate(names):
        caller = client("ArresterMSP", name, 900 + number, vault_role="sensor", vault_cluster="M5", vault_id=ids[name])
        channel.call("Join", joining("m5-0", holder=name, id=ids[name], kem_key=kem(number)), caller)
        channel.call("Admit", {"holder": name}, BASE)
    channel.call("BeginCycle", {"cycle": 2}, BASE)
    present = channel.call("GetCycle", {})["clusters"][2]["holders"]
    assert len(present) == 64
    every = {each["holder"]: each["id"] for each in present}
    argument = manifest(
        "o" * 64, cluster="M5", holders=list(every), ids=every, cycle=2, readers=longest_policy(), length=64 * MIB
    )
    argument["parts"] = [{"length": 16 * MIB, "cipher_sha256": "00" * 32}] * 4
    argument["audit_secret"] = "A" * 180_000
    argument["audits"] = 1024
    argument["meta"] = {f"{number:02d}" + "n" * 126: "v" * 128 for number in range(32)}
    assert len(jsontext.dumps(argument)) < 256 * 1024
    head = holder("m5-0")
    kept = channel.call("PutObject", argument, head)
    assert len(jsontext.dumps(kept)) < 256 * 1024
    name = argument["object"]
    for number, who in enumerate(names):
        caller = client("ArresterMSP", who, 900 + number, vault_role="sensor", vault_cluster="M5", vault_id=ids[who])
        root = next(share["root"] for share in argument["shares"] if share["holder"] == who)
        channel.call("AckShare", {"object": name, "version": 1, "root": root, "log_head": "00" * 32}, caller)
    assert len(channel.call("Settle", {"object": name}, BASE)["acks"]) == 61
    assert channel.last is not None
    assert len(channel.last.reads) < 400
    assert channel.call("GetHealth", {"object": name})["live"] == 61
    assert len(channel.call("RequestRead", {"object": name, "purpose": "repair"}, BASE)["holders"]) == 64


def kem(number: int) -> str:
    return b64encode(number.to_bytes(1216)).decode()


def longest_policy() -> str:
    principals = ", ".join(f"'{'M' * 40}{number}.client[vault.role=reader]'" for number in range(27))
    return f"OR({principals})"


NAMED = re.compile(
    r"(argument|object|version|cycle|layer|cluster|profile|t|n|length|head|parts|shares|audits|audit_secret|readers|meta"
    r"|caller|'?[ -~]{0,70}'?)(\[\d+\])?(\.[ -~]{1,70})?: ."
)
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 63, 64, 65, 2**31, 2**53, 2**62, -(2**62), 0.5, 1e300, -0.0),
    *(
        "",
        " ",
        "x",
        "0",
        "m1-0",
        "m1-1",
        "M1",
        "heads",
        "sealed",
        "\u0000",
        "\ud7ff",
        "é",
        "a" * 70_000,
        "A" * 64,
        "0" * 64,
    ),
    *("OR('A.client')", "AAAA", "1" * 200, "1" * 5000, "-1", "1e3", "../x", "base", [], {}, [[]], [None], {"a": None}),
    *([{}] * 65, ["m1-0"] * 9, {"holder": "m1-0"}, {str(n): n for n in range(40)}),
]


def mutated(rng: Random, argument: dict[str, Any]) -> dict[str, Any]:
    """One to three damages: another value, a member less or more, two things exchanged, a list cut or doubled."""
    copy: dict[str, Any] = json.loads(json.dumps(argument))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(copy))
        container, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind <= 2:
            container[key] = rng.choice(ODD)
        elif kind == 3:
            del container[key]
        elif kind == 4:
            other, name = rng.choice(places)
            container[key] = json.loads(json.dumps(other[name]))
        elif type(container) is dict:
            container[rng.choice(("x", "", "part", "share", "\u202e", "version", "key_sha256"))] = rng.choice(ODD)
        else:
            container.insert(key, rng.choice(ODD))
    return copy


def _places(value: Any) -> Any:
    for key in list(value) if type(value) is dict else range(len(value)):
        yield value, key
        if type(value[key]) in (dict, list):
            yield from _places(value[key])


def test_a_thousand_mutations_are_refused_by_name_or_are_what_a_dealer_may_say() -> None:
    """Never a Python error, never a write beside a refusal; what is taken is found again as it was given."""
    rng, channel = Random(SEED), VaultChannel()
    whole, taken, fields = manifest(), 0, set()
    for _ in range(1000):
        argument = mutated(rng, whole)
        before = channel.state.height
        answer = channel.ask("PutObject", argument, HEAD)
        if answer.status == 200:
            taken += 1
            told = channel.call("GetObject", {"object": argument["object"]})
            assert all(told[name] == value for name, value in argument.items())
            channel = VaultChannel()
            continue
        assert answer.status == 400, f"{answer.message}: {argument}"
        assert channel.state.height == before
        assert (answer.writes, answer.event) == ({}, None)
        assert NAMED.match(answer.message), answer.message
        fields.add(re.split(r"[.:\[]", answer.message)[0])
    assert taken < 250
    assert {"object", "layer", "profile", "t", "n", "parts", "shares", "audits", "readers", "head", "meta"} <= fields


@pytest.mark.parametrize("function", ["Repair", "Reshare"])
def test_mutations_of_what_repairs_are_refused_by_name(function: str) -> None:
    rng, channel = Random(SEED), VaultChannel().store()
    read = channel.read(caller=BASE, purpose=function.lower())
    share = manifest()["shares"][3]
    whole = {"object": "oil-1", "version": 1, "read": read, "share": share, "audits": 4, "audit_secret": "AAAA"}
    if function == "Reshare":
        whole = manifest(version=2) | {"read": read}
    state, fields, taken = channel.state.to_bytes(), set(), 0
    for _ in range(300):
        answer = channel.ask(function, mutated(rng, whole), BASE)
        assert answer.status in (200, 400), answer.message
        if answer.status == 400:
            assert NAMED.match(answer.message), answer.message
            fields.add(re.split(r"[.:\[]", answer.message)[0])
            continue
        taken += 1
        channel = VaultChannel(type(channel.state).from_bytes(state))
        channel.now_us += 3600 * S
    assert taken < 60
    assert set(whole) <= fields | {"cycle"}, "each member was refused by its name"


@pytest.mark.parametrize(
    ("function", "caller"),
    [
        ("SetBase", BASE),
        ("SetCluster", BASE),
        ("Join", holder("m1-1")),
        ("Admit", BASE),
        ("ReportLost", BASE),
        ("Revoke", BASE),
        ("BeginCycle", BASE),
        ("AckShare", holder("m1-7")),
        ("AckShares", HEAD),
        ("AckDeleted", holder("m1-7")),
        ("Settle", BASE),
        ("RequestRead", BASE),
        ("ReportBad", BASE),
        ("Challenge", BASE),
        ("AuditShare", holder("m1-1")),
        ("CloseAudit", BASE),
        ("Abandon", HEAD),
        *[(name, BASE) for name in ("GetObject", "ListObjects", "GetHolder", "ListHolders", "ListJoins", "GetCluster")],
        *[(name, BASE) for name in ("ListClusters", "GetCycle", "GetAcks", "GetRead", "GetReads", "GetRepair")],
        *[(name, BASE) for name in ("GetAudit", "ListAudits", "GetHealth")],
    ],
)
def test_no_argument_makes_python_fail(function: str, caller: Any) -> None:
    """Each function with each odd value in each of its members, and in place of all of them."""
    plausible: dict[str, Any] = {
        "object": "oil-1",
        "version": 1,
        "holder": "m1-1",
        "cluster": "M1",
        "number": 0,
        "purpose": "repair",
        "root": "00" * 32,
        "log_head": "00" * 32,
        "read": "00" * 32,
        "reason": "x",
        "t": 5,
        "spare": 1,
        "cycle": 2,
        "profile": "sealed",
        "nonce": "00" * 32,
        "commitment": "00" * 32,
        "path": [],
        "answer": "00" * 32,
        "signature": "AAAAAAAAAAAA",
        "id": "1001",
        "kem_key": "A" * 43 + "=",
        "url": "https://h",
        "heads": {},
        "without": [],
        "said": [kept("m1-1")],
    }
    channel = VaultChannel().store()
    names = NAMES[function]
    for name in (None, *names):
        for value in ODD:
            argument = {each: plausible[each] for each in names if each in plausible}
            answer = channel.ask(function, value if name is None else argument | {name: value}, caller)
            assert answer.status in (200, 400), f"{answer.message}: {name} = {value!r:.80}"


NAMES: dict[str, tuple[str, ...]] = {
    "SetBase": ("kem_key", "url"),
    "SetCluster": ("cluster", "t", "profile", "spare", "mspid", "head"),
    "Join": ("holder", "cluster", "id", "kem_key", "url"),
    "Admit": ("holder",),
    "ReportLost": ("holder", "reason", "object", "read"),
    "Revoke": ("holder", "reason", "certificate"),
    "BeginCycle": ("cycle", "heads", "without"),
    "AckShare": ("object", "version", "root", "log_head"),
    "AckShares": ("object", "version", "said"),
    "AckDeleted": ("object", "version", "log_head"),
    "Settle": ("object", "version"),
    "RequestRead": ("object", "purpose", "version"),
    "ReportBad": ("answer", "signature"),
    "Challenge": ("object", "holder", "number", "nonce", "commitment", "path", "version"),
    "AuditShare": ("object", "version", "number", "answer"),
    "CloseAudit": ("object", "holder", "number", "finding", "version"),
    "Abandon": ("object", "reason"),
    "GetObject": ("object", "version"),
    "ListObjects": ("cluster", "limit", "bookmark"),
    "GetHolder": ("holder",),
    "ListHolders": ("cluster", "limit", "bookmark"),
    "ListJoins": ("limit", "bookmark"),
    "GetCluster": ("cluster",),
    "ListClusters": ("limit", "bookmark"),
    "GetCycle": ("cycle",),
    "GetAcks": ("object", "version"),
    "GetRead": ("object", "read"),
    "GetReads": ("object", "limit", "bookmark"),
    "GetRepair": ("object", "holder", "version"),
    "GetAudit": ("object", "holder", "number", "version"),
    "ListAudits": ("object", "holder", "version", "limit", "bookmark"),
    "GetHealth": ("object", "version"),
}
"""The members that each function's argument may have."""


def test_every_function_but_those_that_take_a_manifest_is_tried() -> None:
    assert {*NAMES, "PutObject", "Repair", "Reshare", "GetBase"} == set(chaincode().functions)
