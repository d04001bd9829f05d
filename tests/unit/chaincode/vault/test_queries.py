"""Lists come in pages, each item once; what is asked for wrongly is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.vault_channel import BASE, HEAD, IDS, READER, SECURITY, TRANSFORMER, VaultChannel, holder, manifest


def pages(channel: VaultChannel, function: str, limit: int, **argument: Any) -> list[list[Any]]:
    """All pages of a list."""
    found: list[list[Any]] = []
    bookmark = None
    while True:
        more: dict[str, Any] = {} if bookmark is None else {"bookmark": bookmark}
        page = channel.call(function, {"limit": limit, **argument, **more})
        found.append(page["items"])
        bookmark = page["bookmark"]
        if bookmark is None:
            return found


def test_objects_are_listed_by_name_in_pages() -> None:
    channel = VaultChannel()
    names = sorted(f"oil-{number}" for number in range(7))
    for name in names:
        channel.put(name)
    channel.put("gas", holder("m2-0"), cluster="M2", holders=TRANSFORMER)
    found = pages(channel, "ListObjects", 3)
    assert [len(page) for page in found] == [3, 3, 2]
    assert [item["object"] for page in found for item in page] == ["gas", *names]
    found = pages(channel, "ListObjects", 3, cluster="M1")
    assert [item["object"] for page in found for item in page] == names
    item = found[0][0]
    assert (item["version"], item["stored"], item["abandoned"], item["meta"]) == (1, None, None, {"sensor": "oil"})
    assert "shares" not in item
    assert pages(channel, "ListObjects", 3, cluster="M9") == [[]]


def test_objects_of_a_hostile_dealer_make_no_page_too_large() -> None:
    """Each quotation mark takes two bytes of JSON: an answer has 1 MiB at most."""
    channel = VaultChannel()
    meta = {f"{number:02d}" + '"' * 126: '"' * 128 for number in range(32)}
    names = [f"oil-{number:02d}" for number in range(75)]
    for name in names:
        channel.call("PutObject", manifest(name) | {"meta": meta}, HEAD)
    found = pages(channel, "ListObjects", 100)
    assert len(found) == 3
    assert [item["object"] for page in found for item in page] == names


def test_holders_are_listed_by_name_in_pages() -> None:
    channel = VaultChannel()
    channel.call("Revoke", {"holder": "m1-3", "reason": "lost"}, BASE)
    found = [item for page in pages(channel, "ListHolders", 4) for item in page]
    assert [item["holder"] for item in found] == sorted(IDS)
    assert [item["holder"] for item in found if not item["active"]] == ["m1-3"]
    assert found[3]["revoked"]["reason"] == "lost"
    of_one = [item["holder"] for page in pages(channel, "ListHolders", 4, cluster="M1") for item in page]
    assert of_one == list(SECURITY)
    assert [len(page) for page in pages(channel, "ListHolders", 3, cluster="M2")] == [3, 2]
    assert [len(page) for page in pages(channel, "ListClusters", 3)] == [3, 1]


def test_reads_are_listed_in_pages() -> None:
    channel = VaultChannel().store()
    granted = sorted(channel.read() for _ in range(7))
    found = pages(channel, "GetReads", 3, object="oil-1")
    assert [item["read"] for page in found for item in page] == granted
    assert pages(channel, "ListJoins", 3) == [[]]


def test_a_limit_beyond_the_largest_gets_the_largest() -> None:
    assert len(pages(VaultChannel(), "ListHolders", 2**40)) == 1


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        ("GetObject", {"object": "oil-9"}, "object: there is no object oil-9"),
        ("GetObject", {"object": "oil-1", "version": 2}, "version: must lie within 1 and 1"),
        ("GetHealth", {"object": "oil-9"}, "object: there is no object"),
        ("GetAcks", {}, "object: is missing"),
        ("GetHolder", {"holder": "m9"}, "holder: there is no holder m9"),
        ("GetCluster", {"cluster": "M9"}, "cluster: there is no cluster M9"),
        ("GetCycle", {"cycle": 2}, "cycle: must lie within 1 and 1"),
        ("GetReads", {"object": "oil-9"}, "object: there is no object"),
        ("GetReads", {"object": "oil-1", "bookmark": "x"}, "bookmark: must be 64"),
        ("ListObjects", {"limit": 0}, "limit: must lie within 1"),
        ("ListObjects", {"bookmark": 5}, "bookmark: must be the bookmark of the page before"),
        ("ListObjects", {"bookmark": "a/b"}, "bookmark: must be a name"),
        ("ListAudits", {"object": "oil-1", "holder": "m1-1", "bookmark": "0000/1"}, "bookmark: must be the bookmark"),
        ("GetAudit", {"object": "oil-1", "holder": "m1-1", "number": 0}, "number: there is no challenge 0"),
        ("GetAudit", {"object": "oil-1", "holder": "m2-1", "number": 0}, "holder: m2-1 has no share"),
        ("GetRepair", {"object": "oil-1", "holder": "m2-1"}, "holder: m2-1 has no share"),
        ("ListHolders", {"cluster": "M 1"}, "cluster: must be a name"),
        ("ListClusters", {"colour": 1}, "colour: is no field here"),
    ],
)
def test_a_wrong_question_is_refused(function: str, argument: dict[str, Any], message: str) -> None:
    VaultChannel().store().refused(function, argument, message)


def test_a_revoked_join_is_still_told_of() -> None:
    channel = VaultChannel()
    channel.call("Revoke", {"holder": "m1-3", "reason": "lost"}, BASE)
    told = channel.call("GetHolder", {"holder": "m1-3"}, READER)
    assert (told["active"], told["join"], told["record"]["holder"]) == (False, None, "m1-3")


def test_health_counts_who_can_be_counted_on() -> None:
    channel = VaultChannel().store(acks=7)
    health = channel.call("GetHealth", {"object": "oil-1"})
    assert {name: health[name] for name in ("t", "spare", "n", "acks", "live", "needed", "enough", "readable")} == {
        "t": 5,
        "spare": 1,
        "n": 9,
        "acks": 7,
        "live": 7,
        "needed": 6,
        "enough": True,
        "readable": True,
    }
    for who in ("m1-1", "m1-2"):
        channel.call("Revoke", {"holder": who, "reason": "lost"}, BASE)
    health = channel.call("GetHealth", {"object": "oil-1"})
    assert (health["live"], health["enough"], health["readable"], health["reshare_due"]) == (5, False, True, True)
    channel.call("Abandon", {"object": "oil-1", "reason": "done"}, HEAD)
    assert channel.call("GetHealth", {"object": "oil-1"})["status"] == "abandoned"


def test_an_object_that_enough_hold_is_open_until_it_is_settled() -> None:
    channel = VaultChannel()
    channel.call("PutObject", manifest(), HEAD)
    for who in SECURITY:
        channel.ack(who)
    assert channel.call("GetHealth", {"object": "oil-1"})["status"] == "open"
