"""AckShares: what holders signed, handed over by others; what counts, what is passed over and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger import jsontext
from tests.support.vault_channel import (
    BASE,
    DEALER,
    HEAD,
    READER,
    SECURITY,
    STRANGER,
    VaultChannel,
    acking,
    digest,
    handing_over,
    holder,
    joining,
    kept,
    manifest,
    root_of,
    served,
)


def put() -> VaultChannel:
    channel = VaultChannel()
    channel.put()
    return channel


def acks_of(channel: VaultChannel, version: int = 1) -> dict[str, dict[str, Any]]:
    found = channel.call("GetAcks", {"object": "oil-1", "version": version})["acks"]
    return {ack["holder"]: ack for ack in found}


def said(*items: Any, version: int = 1) -> dict[str, Any]:
    return {"object": "oil-1", "version": version, "said": list(items)}


def test_what_t_and_spare_have_signed_stores_an_object() -> None:
    channel = put()
    told, now_us = channel.call("AckShares", handing_over(*SECURITY[:6]), HEAD), channel.now_us
    settled = {"object": "oil-1", "version": 1, "status": "stored", "acks": list(SECURITY[:6]), "needed": 6}
    assert told == settled | {"added": list(SECURITY[:6])}
    assert channel.event() == ("Stored", settled)
    for who, ack in acks_of(channel).items():
        own = {name: acking(who)[name] for name in ("root", "log_head")}
        assert ack == {"holder": who, **own, "signature": kept(who)["signature"], "time_us": now_us}
    assert channel.call("GetObject", {"object": "oil-1"})["stored"] == 1
    assert channel.call("Settle", {"object": "oil-1"}, BASE) == settled
    later = channel.call("AckShares", handing_over(*SECURITY[6:]), HEAD)
    assert later == settled | {"added": list(SECURITY[6:])}
    assert channel.last is not None
    assert channel.last.event is None
    assert [*acks_of(channel)] == list(SECURITY)


def test_fewer_leave_it_open_and_both_ways_count_together() -> None:
    channel = put()
    told = channel.call("AckShares", handing_over(*SECURITY[:3]), DEALER)
    assert (told["status"], told["acks"]) == ("open", list(SECURITY[:3]))
    assert channel.last is not None
    assert channel.last.event is None
    for who in SECURITY[3:5]:
        channel.ack(who)
    told = channel.call("AckShares", handing_over(SECURITY[8]), BASE)
    assert (told["status"], told["acks"]) == ("stored", [*SECURITY[:5], SECURITY[8]])


def test_what_is_there_already_is_passed_over() -> None:
    channel = put()
    channel.ack("m1-1")
    channel.call("AckShares", handing_over("m1-0", "m1-2"), HEAD)
    before = acks_of(channel)
    channel.call("Revoke", {"holder": "m1-2", "reason": "lost"}, BASE)
    again = channel.call("AckShares", handing_over("m1-0", "m1-1", "m1-2", "m1-3"), HEAD)
    assert (again["added"], again["acks"]) == (["m1-3"], ["m1-0", "m1-1", "m1-3"])
    after = acks_of(channel)
    assert {who: after[who] for who in before} == before
    assert "signature" not in after["m1-1"]
    nothing = channel.call("AckShares", handing_over("m1-0"), HEAD)
    assert channel.last is not None
    assert (nothing["added"], channel.last.writes) == ([], {})
    renewed = channel.ack("m1-0")
    assert acks_of(channel)["m1-0"] == {name: renewed[name] for name in ("holder", "root", "log_head", "time_us")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "share_served"}, "said[1].text.kind: must be"),
        ({"channel": "other"}, "said[1].text.channel: must be simulate"),
        ({"object": "oil-2"}, "said[1].text.object: must be oil-1, not oil-2"),
        ({"version": 2}, "said[1].text.version: must be 1, not 2"),
        ({"version": "1"}, "said[1].text.version: must be an integer"),
        ({"holder": "m2-1"}, "said[1].text.holder: m2-1 has no share of oil-1, version 1"),
        ({"holder": "m1-3"}, "said[1].text.root: must be that of the manifest for m1-3"),
        ({"holder": "m1-3", "root": root_of("oil-1", 1, "m1-3")}, "said[1].signature: is not m1-3's"),
        ({"holder": "m1-0", "root": root_of("oil-1", 1, "m1-0")}, "said[1].text.holder: m1-0 is that of said[0]"),
        ({"root": digest("other")}, "said[1].text.root: must be that of the manifest for m1-1"),
        ({"root": 7}, "said[1].text.root: must be 64 hexadecimal digits"),
        ({"log_head": "x"}, "said[1].text.log_head: must be 64 hexadecimal digits"),
        ({"more": 1}, "said[1].text.more: is no field here"),
    ],
)
def test_a_wrong_text_is_refused_by_name_and_nothing_is_written(changes: dict[str, Any], message: str) -> None:
    channel = put()
    channel.refused("AckShares", said(kept("m1-0"), kept("m1-1", **changes)), message, caller=HEAD)
    assert channel.call("AckShares", said(kept("m1-0"), kept("m1-1")), HEAD)["added"] == ["m1-0", "m1-1"]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("text", "said[0]: must be"),
        ({"text": "{}"}, "said[0].signature: is missing"),
        (kept("m1-1") | {"more": 1}, "said[0].more: is no field here"),
        (kept("m1-1") | {"text": 1}, "said[0].text: must be the text that the holder signed"),
        (kept("m1-1") | {"text": "{"}, "said[0].text: is no JSON text"),
        (kept("m1-1") | {"text": "[" * 1000}, "said[0].text: is no JSON text"),
        (kept("m1-1") | {"text": "x" * 1025}, "said[0].text: must be the text"),
        (kept("m1-1") | {"text": "\u00e9"}, "said[0].text: must be the text"),
        (kept("m1-1") | {"text": kept("m1-1")["text"] + " "}, "said[0].text: must have its members in the order kind"),
        (kept("m1-1") | {"signature": "AAAA"}, "said[0].signature: must be 8 to 72 bytes"),
        (kept("m1-1") | {"signature": "A" * 96}, "said[0].signature: is not m1-1's"),
        (kept("m1-1") | {"signature": kept("m1-2")["signature"]}, "said[0].signature: is not m1-1's"),
        (kept("m1-1", key=999), "said[0].signature: is not m1-1's under this text, by its present key"),
    ],
)
def test_what_is_no_signed_text_is_refused(item: Any, message: str) -> None:
    put().refused("AckShares", said(item), message, caller=HEAD)


def test_what_a_holder_signed_in_a_read_is_no_acknowledgement() -> None:
    channel = put()
    other = served("oil-1", 1, "m1-1", digest("read"), root_of("oil-1", 1, "m1-1"))
    item = {"text": other["answer"], "signature": other["signature"]}
    channel.refused("AckShares", said(item), "said[0].text", caller=HEAD)
    read = channel.read()
    report = {"answer": kept("m1-1")["text"], "signature": kept("m1-1")["signature"]}
    assert read
    channel.refused("ReportBad", report, "answer", caller=READER)


def test_the_members_stand_in_one_order() -> None:
    text = jsontext.loads(kept("m1-1")["text"])
    swapped = {name: text[name] for name in sorted(text)}
    item = kept("m1-1") | {"text": jsontext.dumps(swapped).decode()}
    put().refused("AckShares", said(item), "said[0].text: must have its members in the order", caller=HEAD)


def test_the_text_of_another_version_is_refused() -> None:
    channel = VaultChannel().store()
    channel.call("Reshare", manifest(version=2) | {"read": channel.read(caller=HEAD, purpose="reshare")}, HEAD)
    replayed = said(kept("m1-1", version=1), version=2)
    channel.refused("AckShares", replayed, "said[0].text.version: must be 2, not 1", caller=HEAD)
    told = channel.call("AckShares", handing_over(*SECURITY[:6], version=2), BASE)
    assert (told["version"], told["status"]) == (2, "stored")
    assert [*acks_of(channel, 2)] == list(SECURITY[:6])
    channel.refused("AckShares", handing_over("m1-1", version=3), "version: oil-1 has no version 3", caller=HEAD)


def test_who_is_revoked_or_has_another_key_or_id_acknowledges_nothing() -> None:
    channel = put()
    channel.call("Revoke", {"holder": "m1-1", "reason": "stolen"}, BASE)
    message = "said[1].text.holder: m1-1 was revoked in cycle 1: stolen"
    channel.refused("AckShares", handing_over("m1-0", "m1-1"), message, caller=HEAD)
    channel.call("Join", joining("m1-2"), holder("m1-2", key=900))
    channel.call("Admit", {"holder": "m1-2"}, BASE)
    message = "said[1].signature: is not m1-2's under this text, by its present key"
    channel.refused("AckShares", handing_over("m1-0", "m1-2"), message, caller=HEAD)
    assert channel.call("AckShares", said(kept("m1-2", key=900)), HEAD)["added"] == ["m1-2"]
    channel.call("Join", joining("m1-3", id="7777"), holder("m1-3", x="7777"))
    channel.call("Admit", {"holder": "m1-3"}, BASE)
    message = "said[1].text.holder: the id of m1-3 was 1003 and is 7777 now"
    channel.refused("AckShares", handing_over("m1-0", "m1-3"), message, caller=HEAD)


def test_who_hands_over() -> None:
    channel = put()
    for caller in (READER, STRANGER, holder("m1-1"), holder("m2-0")):
        channel.refused("AckShares", handing_over("m1-1"), "caller: is neither the base, nor the owner", caller=caller)
    for number, caller in enumerate((HEAD, DEALER, BASE)):
        assert channel.call("AckShares", handing_over(SECURITY[number]), caller)["added"] == [SECURITY[number]]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (said(), "said: must be an array of 1 to 9"),
        (said(*[kept("m1-1")] * 10), "said: must be an array of 1 to 9"),
        (said() | {"said": None}, "said: must be an array"),
        (said(kept("m1-1")) | {"object": "oil-2"}, "object: there is no object oil-2"),
        (said(kept("m1-1")) | {"version": 0}, "version: must lie within 1"),
        (said(kept("m1-1")) | {"more": 1}, "more: is no field here"),
    ],
)
def test_a_wrong_argument_is_refused(argument: dict[str, Any], message: str) -> None:
    put().refused("AckShares", argument, message, caller=HEAD)


def test_an_abandoned_object_is_acknowledged_no_more() -> None:
    channel = put()
    channel.call("Abandon", {"object": "oil-1", "reason": "wrong file"}, HEAD)
    channel.refused("AckShares", handing_over("m1-1"), "object: oil-1 was abandoned: wrong file", caller=HEAD)


def test_who_has_deleted_its_share_or_was_reported_does_not_count() -> None:
    channel = VaultChannel().store()
    channel.call("Reshare", manifest(version=2) | {"read": channel.read(caller=HEAD, purpose="reshare")}, HEAD)
    channel.call("AckShares", handing_over(*SECURITY[:6], version=2), HEAD)
    channel.call("AckDeleted", {"object": "oil-1", "version": 1, "log_head": digest("l")}, holder("m1-7"))
    told = channel.call("AckShares", handing_over("m1-7", "m1-8"), HEAD)
    assert (told["added"], told["status"]) == (["m1-7", "m1-8"], "stored")
    assert told["acks"] == list(SECURITY[:6])


ODD: tuple[Any, ...] = (None, True, 0, -1, 2**63, 1.5, "", "x" * 2000, "\u2028", [], [[]], {}, {"text": {}})


def test_no_odd_value_makes_python_fail() -> None:
    channel = put()
    text = jsontext.loads(kept("m1-1")["text"])
    for value in ODD:
        for name in ("text", "signature"):
            channel.refused("AckShares", said(kept("m1-1") | {name: value}), f"said[0].{name}", caller=HEAD)
        for name in text:
            whole = {"text": jsontext.dumps(text | {name: value}).decode(), "signature": kept("m1-1")["signature"]}
            channel.refused("AckShares", said(whole), "said[0].text", caller=HEAD)
        whole = {"text": jsontext.dumps(value).decode(), "signature": kept("m1-1")["signature"]}
        channel.refused("AckShares", said(whole), "said[0].text", caller=HEAD)
