"""SetCluster and BeginCycle: whose the vault is, what a cluster may be, and who is active."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from gridledger.contract.simulator.state import MemoryState
from tests.support.vault_channel import (
    ARRESTER,
    BASE,
    HEADS,
    MSPS,
    READER,
    SECURITY,
    STRANGER,
    TRANSFORMER,
    WEAK_FOR_3,
    VaultChannel,
    client,
    cluster,
    holder,
    joining,
    kem_key,
    manifest,
)


def empty() -> VaultChannel:
    return VaultChannel(MemoryState())


def test_the_first_set_cluster_makes_its_caller_s_organisation_the_base() -> None:
    channel = empty()
    assert channel.call("ListClusters", {}) == {"items": [], "bookmark": None, "base": None}
    kept = channel.call("SetCluster", cluster("M1", 5, 1) | {"mspid": "SecurityMSP"}, BASE)
    assert kept == cluster("M1", 5, 1) | {"mspid": "SecurityMSP", "head": None, "time_us": channel.now_us}
    assert channel.event() == ("ClusterSet", kept)
    assert channel.call("ListClusters", {}) == {"items": [kept], "bookmark": None, "base": "BaseMSP"}
    assert channel.call("GetCluster", {"cluster": "M1"}) == kept
    again = cluster("M2", 3, 1) | {"mspid": "StrangersMSP"}
    channel.refused("SetCluster", again, "caller: the base of this vault is of BaseMSP", caller=STRANGER)


def test_the_base_tells_its_key_and_its_address() -> None:
    channel = empty()
    channel.refused("GetBase", {}, "base: the vault has none yet")
    told = {"kem_key": kem_key("base"), "url": "https://127.0.0.1:5200"}
    kept = channel.call("SetBase", told, BASE)
    assert channel.event() == ("BaseSet", kept)
    assert kept == told | {"mspid": "BaseMSP", "time_us": channel.now_us} == channel.call("GetBase", {})
    channel.refused("SetBase", told, "caller: the base of this vault is of BaseMSP", caller=STRANGER)
    channel.refused("SetBase", told, "must have attribute vault.role = 'base'", caller=READER)
    channel.refused("SetBase", told | {"kem_key": "x"}, "kem_key: must be 32 to 2048 bytes", caller=BASE)
    channel.refused("SetBase", told | {"url": "http://h"}, "url: must be an address", caller=BASE)
    assert VaultChannel().call("GetBase", {})["kem_key"] is None


def test_another_ca_s_base_is_no_base() -> None:
    channel = VaultChannel()
    for function, argument in (
        ("Admit", {"holder": "m1-1"}),
        ("Revoke", {"holder": "m1-1", "reason": "lost"}),
        ("BeginCycle", {"cycle": 2}),
    ):
        channel.refused(function, argument, "caller: the base of this vault is of BaseMSP", caller=STRANGER)
        channel.refused(function, argument, "must have attribute vault.role = 'base'", caller=READER)
    empty().refused("Admit", {"holder": "m1-1"}, "base: the vault has none yet", caller=BASE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": "M 1"}, "cluster: must be a name"),
        ({"cluster": "M" * 17}, "cluster: must be a name"),
        ({"t": 1}, "t: must lie within 2 and 63"),
        ({"t": "5"}, "t: must be an integer"),
        ({"t": True}, "t: must be an integer"),
        ({"spare": -1}, "spare: must lie within 0"),
        ({"t": 60, "spare": 4}, "spare: must lie within 0 and 3"),
        ({"profile": "zfec"}, "profile: must be sealed or article or shamir or copies"),
        ({"mspid": "TransformerMSP"}, "mspid: M1 is bound to SecurityMSP for good"),
        ({"head": "m2-0"}, "head: m2-0 is no holder of M1"),
        ({"head": "nobody"}, "head: nobody is no holder of M1"),
        ({"head": "M1"}, "head: must be a name"),
        ({"colour": "red"}, "colour: is no field here"),
        ({"cluster": "heads", "mspid": "SecurityMSP"}, "mspid: heads is bound to BaseMSP"),
        ({"cluster": "heads", "head": "m1-0"}, "head: heads has none"),
        ({"cluster": "M9"}, "mspid: is missing"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    VaultChannel().refused("SetCluster", cluster("M1", 5, 1) | changes, message, caller=BASE)


def test_there_are_at_most_64_clusters() -> None:
    channel = VaultChannel()
    for number in range(60):
        channel.call("SetCluster", cluster(f"X{number}", 2, 0) | {"mspid": "XMSP"}, BASE)
    channel.refused("SetCluster", cluster("Y", 2, 0) | {"mspid": "XMSP"}, "there are 64 clusters", caller=BASE)


def test_a_profile_that_an_active_id_is_weak_for_is_refused() -> None:
    known = VaultChannel()
    weak = known.stored("active/M2/m2-3") | {"id": WEAK_FOR_3}
    channel = known.with_values({"active/M2/m2-3": weak})
    message = f"t: the id of m2-3: {WEAK_FOR_3[:60]}... is weak for t = 3"
    channel.refused("SetCluster", cluster("M2", 3, 1, "article"), message, caller=BASE)
    channel.refused("SetCluster", cluster("heads", 3, 0, "article"), "t: the id of m2-3", caller=BASE)
    for fitting in (cluster("M2", 3, 1), cluster("M2", 2, 1, "article"), cluster("M1", 3, 1, "article")):
        channel.call("SetCluster", fitting, BASE)
    channel.call("Revoke", {"holder": "m2-3", "reason": "weak"}, BASE)
    channel.call("SetCluster", cluster("M2", 3, 1, "article"), BASE)


def test_a_cycle_names_the_active_holders_of_each_cluster() -> None:
    channel = VaultChannel()
    present = channel.call("GetCycle", {})
    assert present == channel.call("GetCycle", {"cycle": 1})
    assert [each["cluster"] for each in present["clusters"]] == ["M1", "M2", "M5", "heads"]
    assert [each["holder"] for each in present["clusters"][0]["holders"]] == list(SECURITY)
    assert [each["holder"] for each in present["clusters"][3]["holders"]] == list(HEADS)
    begun = channel.call("BeginCycle", {"cycle": 2, "heads": {"M1": "m1-4"}}, BASE)
    assert channel.event() == ("CycleBegun", begun)
    assert begun["clusters"][0]["head"] == "m1-4" == channel.call("GetCluster", {"cluster": "M1"})["head"]
    assert [each["holder"] for each in begun["clusters"][3]["holders"]] == ["m1-4", "m2-0", "m5-0"]
    assert channel.call("GetCycle", {"cycle": 1}) == present
    channel.refused("GetCycle", {"cycle": 3}, "cycle: must lie within 1 and 2")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"cycle": 1}, "cycle: must be 2"),
        ({"cycle": 3}, "cycle: must be 2"),
        ({"cycle": 0}, "cycle: must lie within"),
        ({"cycle": 2, "heads": {"M9": "m1-0"}}, "heads.M9: is no cluster that has a head"),
        ({"cycle": 2, "heads": {"M1": "m1-0"}, "without": ["M1"]}, "heads.M1: is no cluster that has a head in this"),
        ({"cycle": 2, "without": ["M9"]}, "without: there is no cluster M9"),
        ({"cycle": 2, "without": "M1"}, "without: must be an array of 0 to 64"),
        ({"cycle": 2, "without": ["M1"] * 65}, "without: must be an array of 0 to 64"),
        ({"cycle": 2, "without": [5]}, "without[0]: must be a name"),
        ({"cycle": 2, "without": ["M1", "M2"]}, "cycle: heads has 1 active holders"),
        ({"cycle": 2, "heads": {"heads": "m1-0"}}, "heads.heads: is no cluster that has a head"),
        ({"cycle": 2, "heads": {"M1": "m2-0"}}, "heads.M1: M1 cannot have the head m2-0"),
        ({"cycle": 2, "heads": {"M1": 5}}, "heads.M1: must be a name"),
        ({"cycle": 2, "heads": ["m1-0"]}, "heads: must be an object"),
        ({"cycle": 2, "heads": {"M 1": "m1-0"}}, "heads: must be a name"),
    ],
)
def test_a_cycle_that_cannot_begin_is_refused(argument: dict[str, Any], message: str) -> None:
    VaultChannel().refused("BeginCycle", argument, message, caller=BASE)


def test_a_cluster_with_too_few_holders_holds_the_cycle_up_until_it_is_set_lower() -> None:
    channel = VaultChannel()
    channel.call("Revoke", {"holder": "m2-4", "reason": "lost"}, BASE)
    message = "cycle: M2 has 4 active holders, its t + spare is 4"
    channel.refused("BeginCycle", {"cycle": 2}, message, caller=BASE)
    channel.call("SetCluster", cluster("M2", 3, 0), BASE)
    begun = channel.call("BeginCycle", {"cycle": 2}, BASE)
    assert [each["holder"] for each in begun["clusters"][1]["holders"]] == list(TRANSFORMER[:4])


def test_a_cluster_with_too_few_holders_for_any_t_is_left_out() -> None:
    """With two holders left no t fits, and no other cluster could begin a cycle any more."""
    channel = VaultChannel()
    channel.call("PutObject", manifest("gas", cluster="M5", holders=ARRESTER), holder("m5-0"))
    channel.call("Revoke", {"holder": "m5-2", "reason": "lost"}, BASE)
    message = "cycle: M5 has 2 active holders, its t + spare is 2"
    channel.refused("BeginCycle", {"cycle": 2}, message, "or leave it out of this cycle (without)", caller=BASE)
    channel.call("SetCluster", cluster("heads", 2, 0), BASE)
    begun = channel.call("BeginCycle", {"cycle": 2, "without": ["M5", "heads"]}, BASE)
    assert [each["cluster"] for each in begun["clusters"]] == ["M1", "M2"]
    assert not channel.call("GetHolder", {"holder": "m5-1"})["active"]
    late = manifest("late", cluster="M5", holders=ARRESTER, cycle=2)
    channel.refused("PutObject", late, "cluster: M5 takes no part in cycle 2", caller=holder("m5-0"))
    for who in ("m5-0", "m5-1"):  # what it has is acknowledged, settled and read all the same
        channel.ack(who, "gas")
    assert channel.call("Settle", {"object": "gas"}, BASE)["status"] == "stored"
    assert len(channel.call("RequestRead", {"object": "gas", "purpose": "x"})["holders"]) == 2
    channel.call("Join", joining("m5-0", holder="m5-3", id="5000", kem_key=kem_key("m5-3")), fourth())
    channel.call("Admit", {"holder": "m5-3"}, BASE)
    begun = channel.call("BeginCycle", {"cycle": 3}, BASE)
    assert [each["cluster"] for each in begun["clusters"]] == ["M1", "M2", "M5", "heads"]


def fourth() -> ClientIdentity:
    return client("ArresterMSP", "m5-3", 950, vault_role="sensor", vault_cluster="M5", vault_id="5000")


def test_a_revoked_head_is_to_be_replaced() -> None:
    channel = VaultChannel()
    channel.call("Revoke", {"holder": "m1-0", "reason": "lost"}, BASE)
    channel.refused("BeginCycle", {"cycle": 2}, "heads.M1: M1 cannot have the head m1-0", caller=BASE)
    channel.call("SetCluster", cluster("M1", 5, 1) | {"head": "m1-1"}, BASE)
    assert channel.call("BeginCycle", {"cycle": 2}, BASE)["clusters"][0]["head"] == "m1-1"
    again = cluster("M1", 5, 1) | {"head": "m1-0"}
    channel.refused("SetCluster", again, "head: m1-0 was revoked in cycle 1: lost", caller=BASE)


def test_a_cluster_without_holders_takes_no_part() -> None:
    channel = VaultChannel()
    channel.call("SetCluster", cluster("M3", 2, 0) | {"mspid": "BreakerMSP"}, BASE)
    assert "M3" not in str(channel.call("BeginCycle", {"cycle": 2}, BASE))


def test_a_cluster_without_a_head_is_told() -> None:
    channel = empty()
    channel.call("SetCluster", cluster("M5", 2, 0) | {"mspid": MSPS["M5"]}, BASE)
    for name in ("m5-0", "m5-1", "m5-2"):
        channel.join(name)
        channel.call("Admit", {"holder": name}, BASE)
    channel.refused("BeginCycle", {"cycle": 1}, "heads.M5: M5 has no head yet", caller=BASE)
    channel.refused("GetCycle", {}, "cycle: none has begun")


def test_a_cluster_has_at_most_64_active_holders() -> None:
    channel = VaultChannel()
    for number in range(62):
        name, x = f"m5-x{number}", str(9000 + number)
        caller = client("ArresterMSP", name, 900 + number, vault_role="sensor", vault_cluster="M5", vault_id=x)
        channel.call("Join", joining("m5-0", holder=name, id=x, kem_key=joining_key(number)), caller)
        channel.call("Admit", {"holder": name}, BASE)
    channel.refused("BeginCycle", {"cycle": 2}, "M5 has 65 active holders; a cluster has at most 64", caller=BASE)
    channel.call("Revoke", {"holder": "m5-x61", "reason": "one too many"}, BASE)
    begun = channel.call("BeginCycle", {"cycle": 2}, BASE)
    assert len(begun["clusters"][2]["holders"]) == 64


def test_a_cycle_begins_with_who_is_active_alone_and_fits_a_transaction() -> None:
    """However many were admitted and revoked before: 64 clusters of 64 holders with the longest names and ids."""
    holders = [(f"C{n % 64:015d}", f"h{n:031d}", str(2**64 - 1 - n)) for n in range(4096)]
    records = {f"cluster/{c}": cluster(c, 2, 0) | {"mspid": "X", "head": h} for c, h, _ in holders[63::-1]}
    active = {f"active/{c}/{h}": {"holder": h, "cluster": c, "id": x, "from_cycle": 1} for c, h, x in holders}
    channel = VaultChannel().with_values(records | active, without=("cluster/", "active/"))
    result = channel.endorse("BeginCycle", {"cycle": 2}, BASE, 1)
    assert result.response.status == 200, result.response.message
    assert sum(len(each["holders"]) for each in result.response.payload["clusters"]) == 4096
    assert len(result.text) < 2 * 1024 * 1024  # max_envelope_bytes of a channel
    one_more = {"active/M1/x": {"holder": "x", "cluster": "M1", "id": "7", "from_cycle": 1}}
    channel = channel.with_values(one_more)
    channel.refused("BeginCycle", {"cycle": 2}, "cycle: more than 4096 holders are admitted; revoke those", caller=BASE)


def test_who_is_revoked_is_read_no_more_when_a_cycle_begins() -> None:
    channel = VaultChannel()
    channel.call("Revoke", {"holder": "m1-8", "reason": "lost"}, BASE)
    channel.call("BeginCycle", {"cycle": 2}, BASE)
    assert channel.last is not None
    assert "active/M1/m1-7" in channel.last.reads
    assert not any(key.endswith("m1-8") for key in channel.last.reads)


def joining_key(number: int) -> str:
    return b64encode(number.to_bytes(32)).decode()


def test_a_holder_cannot_begin_a_cycle() -> None:
    VaultChannel().refused("BeginCycle", {"cycle": 2}, "vault.role", caller=holder("m1-0"))
