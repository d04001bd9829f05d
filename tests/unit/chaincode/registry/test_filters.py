"""PublishFilter and GetFilter: the bits are those that anybody computes, and no registered device is lost."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.contract.simulator.state import MemoryState
from gridledger.evidence.bloom import best_size
from tests.support.contract_channel import client
from tests.support.events_channel import LIGHTNODE, Device, EventsChannel
from tests.support.registry_channel import KYIV, LVIV, RegistryChannel, registering


def bits_of(names: Iterable[str], m: int, k: int) -> bytes:
    """The filter as its definition says, a digit for each bit."""
    bits = bytearray(b"0" * (-(-m // 8) * 8))
    for name in names:
        digest = sha256(b"gridledger-bloom-1" + bytes(1) + name.encode()).hexdigest()
        h1, h2 = int(digest[:16], 16), int(digest[16:32], 16)
        h2 += 1 - h2 % 2
        for i in range(k):
            bits[(h1 + i * h2) % m] = ord("1")
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def told_bits(channel: RegistryChannel, epoch: int | None = None) -> bytes:
    """All parts of a filter, held against its hash."""
    argument = {} if epoch is None else {"epoch": epoch}
    head = channel.call("GetFilter", argument)
    parts = [channel.call("GetFilter", {**argument, "part": part})["bits"] for part in range(head["parts"])]
    bits = b"".join(map(base64.b64decode, parts))
    assert sha256(bits).hexdigest() == head["bits_sha256"]
    return bits


def told_since(channel: RegistryChannel, limit: int = 2) -> list[str]:
    since, bookmark = [], None
    while True:
        answer = channel.call("GetFilter", {"limit": limit, "bookmark": bookmark})
        since += answer["since"]
        bookmark = answer["bookmark"]
        if bookmark is None:
            return since


def page(channel: RegistryChannel, start: str | None, epoch: int = 1, limit: int = 2, **changes: Any) -> Any:
    argument = {"epoch": epoch, "m": 256, "k": 3, "from": start, "limit": limit, **changes}
    return channel.call("PublishFilter", argument, KYIV)


def test_a_filter_comes_page_by_page_and_is_published_with_the_last() -> None:
    names = ["a", "b", "c", "d", "e"]
    channel = RegistryChannel().register(*names)
    first = page(channel, "")
    assert first == {"epoch": 1, "m": 256, "k": 3, "added": 2, "devices": 2, "next": "00000000/c"}
    channel.refused("GetFilter", {}, "epoch: no filter is published yet")
    assert channel.last is not None
    second = page(channel, first["next"])
    assert (second["devices"], second["next"]) == (4, "00000000/e")
    last = page(channel, second["next"])
    bits = bits_of(names, 256, 3)
    assert last == {
        "epoch": 1,
        "m": 256,
        "k": 3,
        "added": 1,
        "devices": 5,
        "next": None,
        "bits_sha256": sha256(bits).hexdigest(),
    }
    name, record = channel.event()
    assert name == "FilterPublished"
    assert record == channel.stored("filter/00000001")
    assert told_bits(channel) == bits
    answer = channel.call("GetFilter", {"part": 0})
    told = {field: value for field, value in record.items() if field != "before"}
    now: dict[str, Any] = {
        "newest": 1,
        "building": None,
        "part": 0,
        "bits": base64.b64encode(bits).decode(),
        "since": [],
    }
    assert answer == told | now | {"bookmark": None}


def test_a_page_that_is_not_the_last_tells_no_event() -> None:
    channel = RegistryChannel().register("a", "b", "c")
    page(channel, "")
    assert channel.last is not None
    assert channel.last.event is None
    assert set(channel.last.writes) == {"epoch", "building", "bits/00000001/00"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 0}, "epoch: must lie within 1"),
        ({"epoch": 2}, "epoch: must be 1 to begin a filter, not 2"),
        ({"m": 7}, "m: must lie within 8 and 8388608"),
        ({"m": 8_388_609}, "m: must lie within 8 and 8388608"),
        ({"k": 0}, "k: must lie within 1 and 32"),
        ({"k": 33}, "k: must lie within 1 and 32"),
        ({"from": None}, "from: must be what the answer before told"),
        ({"from": "a"}, "from: must be what the answer before told"),
        ({"from": "00000000/b"}, "from: no filter is being made"),
        ({"limit": 0}, "limit: must lie within 1 and 2000"),
        ({"limit": 2001}, "limit: must lie within 1 and 2000"),
        ({"bits": ""}, "bits: is no field"),
    ],
)
def test_a_refusal_of_a_page_names_the_field(changes: dict[str, Any], message: str) -> None:
    argument = {"epoch": 1, "m": 256, "k": 3, "from": "", "limit": 2000, **changes}
    RegistryChannel().register("a").refused("PublishFilter", argument, message, caller=KYIV)


def test_a_page_continues_the_filter_that_is_being_made() -> None:
    channel = RegistryChannel().register("a", "b", "c", "d", "e")
    place = page(channel, "")["next"]
    page(channel, place)
    how = "one is being made: epoch 1, m 256, k 3, from 00000000/e"
    right = {"epoch": 1, "m": 256, "k": 3, "from": "00000000/e", "limit": 2}
    for field, value in (("epoch", 2), ("m", 257), ("k", 4), ("from", place)):
        message = channel.refused("PublishFilter", right | {field: value}, f"{field}: must be ", how, caller=KYIV)
        assert str(value) in message
    channel.refused("PublishFilter", right | {"from": ""}, "epoch: must be 2 to begin a filter", how, caller=KYIV)
    assert channel.call("PublishFilter", right, LVIV)["next"] is None
    channel.refused("PublishFilter", right, "from: no filter is being made", caller=KYIV)


def test_only_a_registrar_publishes() -> None:
    argument = {"epoch": 1, "m": 256, "k": 3, "from": "", "limit": 2}
    RegistryChannel().refused(
        "PublishFilter", argument, "caller: its certificate must have forensics.role", caller=client("KyivMSP")
    )


def test_the_next_epoch_gives_up_one_that_is_not_finished() -> None:
    channel = RegistryChannel().register("a", "b", "c")
    page(channel, "")
    channel.register("d")
    channel.publish(epoch=2, m=512)
    assert channel.stored("bits/00000001/00") is None
    assert told_bits(channel) == bits_of("abcd", 512, 3)
    channel.refused("GetFilter", {"epoch": 1}, "epoch: no filter of epoch 1 was published; the newest is 2")


def test_a_filter_without_devices_says_no_to_all() -> None:
    channel = RegistryChannel()
    channel.publish()
    assert told_bits(channel) == bytes(32)


def test_devices_that_come_during_a_publication_are_told_as_since() -> None:
    channel = RegistryChannel().register("b", "d", "f")
    place = page(channel, "", limit=1)["next"]
    channel.register("a", "e")
    while place is not None:
        place = page(channel, place, limit=1)["next"]
    channel.register("c", "g")
    assert told_bits(channel) == bits_of("bdf", 256, 3)
    assert told_since(channel) == ["a", "c", "e", "g"]
    channel.publish(epoch=2)
    assert told_since(channel) == []
    assert told_bits(channel) == bits_of("abcdefg", 256, 3)


def test_since_tells_devices_of_a_publication_that_has_begun_too() -> None:
    channel = RegistryChannel().register("a", "b")
    channel.publish()
    channel.register("c")
    page(channel, "", epoch=2, limit=1)
    channel.register("d")
    answer = channel.call("GetFilter", {})
    assert (answer["epoch"], answer["newest"], answer["since"]) == (1, 1, ["c", "d"])
    assert (answer["building"]["epoch"], answer["building"]["devices"]) == (2, 1)


def test_retired_and_revoked_devices_leave_with_the_next_epoch() -> None:
    channel = RegistryChannel().register("a", "b", "c")
    channel.publish()
    channel.register("d", "e")
    channel.call("Retire", {"device": "a"}, KYIV)
    channel.call("Retire", {"device": "d"}, KYIV)
    channel.call("Revoke", {"device": "b", "reason": "stolen"}, KYIV)
    assert told_bits(channel) == bits_of("abc", 256, 3)
    assert told_since(channel) == ["e"]
    channel.publish(epoch=2)
    assert told_bits(channel) == bits_of("ce", 256, 3)


def test_the_bits_of_the_two_newest_filters_are_kept() -> None:
    channel = RegistryChannel().register("a")
    for epoch in (1, 2, 3):
        channel.publish(epoch=epoch)
        channel.register(f"after-{epoch}")
    assert told_bits(channel, 2) == bits_of(["a", "after-1"], 256, 3)
    channel.refused("GetFilter", {"epoch": 1, "part": 0}, "epoch: the bits of filter 1 are not kept any more")
    old = channel.call("GetFilter", {"epoch": 1})
    assert (old["epoch"], old["newest"], old["since"]) == (1, 3, ["after-1", "after-2", "after-3"])
    channel.refused("GetFilter", {"epoch": 4}, "epoch: no filter of epoch 4 was published; the newest is 3")
    for field, value in (("epoch", 0), ("part", 1), ("part", -1), ("limit", 0), ("limit", 2001), ("bookmark", "x")):
        channel.refused("GetFilter", {field: value}, f"{field}: ")


def test_a_large_filter_has_two_parts_of_512_kib() -> None:
    m = 8_388_608
    channel = RegistryChannel().register("a", "b")
    channel.publish(m=m, k=32, limit=1)
    assert channel.call("GetFilter", {})["parts"] == 2
    bits = told_bits(channel)
    assert len(bits) == 2**20
    assert sum(map(int.bit_count, bits)) in range(60, 65)
    for name in "ab":
        mine = bits_of([name], m, 32)
        assert int.from_bytes(mine, "big") & ~int.from_bytes(bits, "big") == 0


def test_a_page_writes_less_than_an_envelope_takes() -> None:
    channel = RegistryChannel().register("a", "b")
    argument = {"epoch": 1, "m": 8_388_608, "k": 7, "from": "", "limit": 1}
    written = channel.endorse("PublishFilter", argument, KYIV).writes
    assert sum(len(json.dumps(value)) for _, value in written) < 1_500_000


def test_no_page_but_the_first_disturbs_a_registration_and_none_is_disturbed() -> None:
    channel = RegistryChannel().register("b", "d")
    numbers = count()

    def endorsed(function: str, argument: Any) -> Any:
        result = channel.endorse(function, argument, KYIV, next(numbers))
        assert result.response.status == 200, result.response.message
        return result

    before = endorsed("RegisterDevice", registering("a"))
    first = endorsed("PublishFilter", {"epoch": 1, "m": 256, "k": 3, "from": "", "limit": 1})
    assert channel.order(first)
    # Endorsed in the epoch before, so it would be listed there, behind the page's back.
    assert not channel.order(before)
    again = endorsed("RegisterDevice", registering("a"))
    second = endorsed("PublishFilter", {"epoch": 1, "m": 256, "k": 3, "from": "00000000/d", "limit": 1})
    other = endorsed("RegisterDevice", registering("e"))
    assert [channel.order(result) for result in (again, second, other)] == [True, True, True]
    assert told_bits(channel) == bits_of("bd", 256, 3)
    assert told_since(channel) == ["a", "e"]


def test_a_first_page_that_overlooks_a_registration_before_it_is_made_anew() -> None:
    channel = RegistryChannel().register("b", "d")
    first = channel.endorse("PublishFilter", {"epoch": 1, "m": 256, "k": 3, "from": "", "limit": 2000}, KYIV, 1)
    assert channel.order(channel.endorse("RegisterDevice", registering("a"), KYIV, 2))
    assert not channel.order(first)
    channel.publish()
    assert told_bits(channel) == bits_of("abd", 256, 3)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["register", "register", "retire", "page", "page", "order"]),
        st.integers(0, 7),
        st.sampled_from(["now", "now", "later"]),
    ),
    min_size=8,
    max_size=40,
)


def next_page(channel: RegistryChannel, limit: int) -> dict[str, Any]:
    """The argument that goes on with a publication, or begins the next one."""
    building = channel.stored("building") or {"epoch": (channel.stored("epoch") or 0) + 1, "next": ""}
    return {"epoch": building["epoch"], "m": 4096, "k": 4, "from": building["next"], "limit": limit}


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_whatever_is_ordered_when_no_active_device_is_lost(steps: list[tuple[str, int, str]]) -> None:
    """Registrations, retirements and pages are endorsed, and ordered at once, later in any order, or not at all."""
    channel = RegistryChannel().register("d0", "d3", "d7")
    waiting: list[Any] = []
    for number, (step, value, when) in enumerate(steps):
        if step == "order":
            if waiting:
                channel.order(waiting.pop(value % len(waiting)))
            continue
        calls = {
            "register": ("RegisterDevice", registering(f"d{value}")),
            "retire": ("Retire", {"device": f"d{value}"}),
            "page": ("PublishFilter", next_page(channel, value % 2 + 1)),
        }
        result = channel.endorse(*calls[step], KYIV, number)
        if result.response.status == 200:
            waiting.append(result)
            if when == "now":
                channel.order(waiting.pop())
    if channel.stored("newest") is not None:
        check_nobody_is_lost(channel)
    while channel.stored("building") is not None or channel.stored("newest") is None:
        channel.call("PublishFilter", next_page(channel, 2), KYIV)
    for result in waiting:
        channel.order(result)
    check_nobody_is_lost(channel)


def check_nobody_is_lost(channel: RegistryChannel) -> None:
    """Each active device is in the newest filter, or among those since."""
    active = {record["device"] for record in channel.pages("ListDevices", {"status": "active"})}
    since = set(told_since(channel))
    assert since <= active
    bits = told_bits(channel)
    assert [name for name in sorted(active - since) if not passes(name, bits, 4096, 4)] == []


def with_devices(names: Iterable[str]) -> RegistryChannel:
    """A channel with these active devices, written by hand as registrations leave them."""
    state = {f"active/00000000/{name}": True for name in names}
    return RegistryChannel(MemoryState.from_bytes(json.dumps({"state": state}).encode()))


def passes(name: str, bits: bytes, m: int, k: int) -> bool:
    mine, all_bits = int.from_bytes(bits_of([name], m, k), "big"), int.from_bytes(bits, "big")
    return mine & all_bits == mine


def test_a_stranger_that_passes_the_filter_is_still_refused() -> None:
    names = [f"pmu-{n}" for n in range(20)]
    channel = RegistryChannel().register(*names)
    channel.publish(m=64, k=2)
    bits = told_bits(channel)
    stranger = next(name for name in (f"stranger-{n}" for n in count()) if passes(name, bits, 64, 2))
    assert stranger not in channel.call("GetFilter", {})["since"]
    channel.refused("GetDevice", {"device": stranger}, f"device: {stranger} is not registered")
    message = f"device: {stranger} is not admitted"
    EventsChannel().refused("LogEvent", Device(stranger).argument(), message, caller=LIGHTNODE)


@pytest.mark.deep
def test_100_000_devices() -> None:
    names = [f"meter-{n:06d}" for n in range(100_000)]
    channel = with_devices(names)
    m, k = best_size(len(names), 0.01)
    assert (m, k) == (958_506, 7)
    start, pages = "", 0
    while start is not None:
        result = channel.ask("PublishFilter", {"epoch": 1, "m": m, "k": k, "from": start, "limit": 2000}, KYIV)
        assert result.successful, result.message
        assert len(result.reads) <= 2010
        start, pages = result.payload["next"], pages + 1
    assert (pages, result.payload["devices"]) == (50, 100_000)
    bits = told_bits(channel)
    assert bits == bits_of(names, m, k)
    strangers = [f"stranger-{n}" for n in range(20_000)]
    false = sum(1 for name in strangers if all_set(name, bits, m, k))
    assert 120 < false < 280  # 1 % of 20,000, and what chance adds
    assert all(all_set(name, bits, m, k) for name in names[::97])


def all_set(name: str, bits: bytes, m: int, k: int) -> bool:
    digest = sha256(b"gridledger-bloom-1\0" + name.encode()).digest()
    h1, h2 = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big") | 1
    return all(bits[j // 8] >> (7 - j % 8) & 1 for j in ((h1 + i * h2) % m for i in range(k)))
