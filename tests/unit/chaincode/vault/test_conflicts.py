"""What many write at once does not conflict: acknowledgements, reads, answers; what must not pass together does."""

from __future__ import annotations

from itertools import count
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.protocol.result import Result
from tests.support.vault_channel import (
    BASE,
    HEAD,
    READER,
    SECURITY,
    Audits,
    VaultChannel,
    acking,
    client,
    handing_over,
    holder,
    manifest,
    served,
)

_NONCES = count(1)
ASKED = {"object": "oil-1", "purpose": "study"}


def endorsed(channel: VaultChannel, *calls: tuple[str, Any, ClientIdentity]) -> list[Result]:
    """All calls, endorsed on one and the same state."""
    results = [channel.endorse(*call, next(_NONCES)) for call in calls]
    assert all(result.response.status == 200 for result in results), [each.response.message for each in results]
    return results


def ordered(channel: VaultChannel, results: list[Result]) -> list[bool]:
    """Whether each is valid, one after the other in one block."""
    return [channel.order(result) for result in results]


def readers(number: int) -> list[ClientIdentity]:
    return [client("OperatorsMSP", f"r{n}", 300 + n, vault_role="reader") for n in range(number)]


def test_nine_holders_and_nine_readers_in_one_block_are_all_valid() -> None:
    channel = VaultChannel()
    channel.put()
    acks = [("AckShare", acking(who), holder(who)) for who in SECURITY]
    reads = [("RequestRead", ASKED, who) for who in readers(9)]
    mixed = [call for pair in zip(acks, reads, strict=True) for call in pair]
    assert all(ordered(channel, endorsed(channel, *mixed)))
    assert len(channel.call("GetAcks", {"object": "oil-1"})["acks"]) == 9
    assert len(channel.call("GetReads", {"object": "oil-1"})["items"]) == 9


def test_a_settle_that_counts_them_takes_none_away() -> None:
    channel = VaultChannel()
    channel.put()
    for who in SECURITY[:6]:
        channel.ack(who)
    late = [("AckShare", acking(who), holder(who)) for who in SECURITY[6:]]
    settle, *acks = endorsed(channel, ("Settle", {"object": "oil-1"}, BASE), *late)
    assert all(ordered(channel, [settle, *acks]))


def test_what_a_dealer_hands_over_takes_no_acknowledgement_away() -> None:
    """It counts all of them, so it is the one that is made anew where a holder's own comes in between."""
    channel = VaultChannel()
    channel.put()
    handed, own, rest = endorsed(
        channel,
        ("AckShares", handing_over(*SECURITY[:6]), HEAD),
        ("AckShare", acking("m1-7"), holder("m1-7")),
        ("AckShare", acking("m1-8"), holder("m1-8")),
    )
    assert ordered(channel, [own, handed, rest]) == [True, False, True]
    (again,) = endorsed(channel, ("AckShares", handing_over(*SECURITY[:6]), HEAD))
    (late,) = endorsed(channel, ("AckShare", acking("m1-0"), holder("m1-0")))
    assert ordered(channel, [again, late]) == [True, True]
    # Once it is stored, only those that are handed over are read.
    stored, other = endorsed(
        channel, ("AckShares", handing_over("m1-6"), HEAD), ("AckShare", acking("m1-1"), holder("m1-1"))
    )
    assert ordered(channel, [other, stored]) == [True, True]


def test_two_settles_at_once_store_once() -> None:
    channel = VaultChannel()
    channel.put()
    for who in SECURITY[:6]:
        channel.ack(who)
    both = endorsed(channel, *[("Settle", {"object": "oil-1"}, caller) for caller in (BASE, HEAD)])
    assert ordered(channel, both) == [True, False]


def test_answers_to_audits_of_several_holders_do_not_conflict() -> None:
    channel = VaultChannel().store()
    challenges = [("Challenge", Audits("oil-1", 1, who).challenge(0), BASE) for who in SECURITY[:6]]
    assert all(ordered(channel, endorsed(channel, *challenges)))
    own = {"object": "oil-1", "version": 1, "number": 0}
    answers = [("AuditShare", own | {"answer": Audits("oil-1", 1, who).answer(0)}, holder(who)) for who in SECURITY[:6]]
    assert all(ordered(channel, endorsed(channel, *answers)))


def test_an_acknowledgement_and_a_revocation_at_once_do_not_both_count() -> None:
    for first in (0, 1):
        channel = VaultChannel()
        channel.put()
        revoke = ("Revoke", {"holder": "m1-3", "reason": "lost"}, BASE)
        results = endorsed(channel, ("AckShare", acking("m1-3"), holder("m1-3")), revoke)
        valid = ordered(channel, results if first == 0 else results[::-1])
        assert valid == ([True, True] if first == 0 else [True, False])
        assert channel.stored("revoked/m1-3") is not None


def test_a_read_and_a_revocation_of_its_reader_at_once() -> None:
    channel = VaultChannel().store()
    revoke = ("Revoke", {"holder": "m1-0", "reason": "lost"}, BASE)
    ask = ("RequestRead", ASKED, HEAD)
    assert ordered(channel, endorsed(channel, revoke, ask)) == [True, False]


def test_a_put_and_a_revocation_of_one_of_its_holders_at_once() -> None:
    channel = VaultChannel()
    revoke = ("Revoke", {"holder": "m1-3", "reason": "lost"}, BASE)
    assert ordered(channel, endorsed(channel, revoke, ("PutObject", manifest(), HEAD))) == [True, False]


def test_two_puts_of_one_name_and_two_reshares_at_once() -> None:
    channel = VaultChannel()
    assert ordered(channel, endorsed(channel, *[("PutObject", manifest(), HEAD)] * 2)) == [True, False]
    read = channel.read(caller=HEAD, purpose="reshare")
    again = ("Reshare", manifest(version=2) | {"read": read}, HEAD)
    assert ordered(channel, endorsed(channel, again, again)) == [True, False]


def test_two_reports_of_one_share_at_once_count_once() -> None:
    channel = VaultChannel().store()
    who = readers(2)
    reports = [("ReportBad", served("oil-1", 1, "m1-3", channel.read(caller=each), "ab" * 32), each) for each in who]
    assert ordered(channel, endorsed(channel, *reports)) == [True, False]


def test_two_objects_are_put_side_by_side() -> None:
    channel = VaultChannel()
    puts = [("PutObject", manifest(f"oil-{number}"), HEAD) for number in range(5)]
    assert all(ordered(channel, endorsed(channel, *puts)))


def test_suspicions_do_not_conflict() -> None:
    channel = VaultChannel()
    argument = {"holder": "m1-3", "reason": "silent"}
    calls = [("ReportLost", argument, caller) for caller in (BASE, *map(holder, SECURITY[:3]))]
    assert all(ordered(channel, endorsed(channel, *calls)))
    assert channel.call("GetHolder", {"holder": "m1-3"}, READER)["suspicions"][0]["by"] == "base"
