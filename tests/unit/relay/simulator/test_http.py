"""The simulated relay over HTTP, with and without misbehaviour, as its readers see it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from gridledger.field.capture import CaptureError, parse_capture
from services.relay.readers import Delivered, Reader, RelayAnswerBad
from services.relay.simulator.folder import KEPT, CaptureFolder
from services.relay.simulator.process import RunningRelay
from tests.support.simulated_relay import START_MINUTE, reader_of, simulated_relay
from tests.support.waiting import until


async def newest(reader: Reader, after: Delivered | None = None) -> Delivered:
    found = await reader.latest(after.sha256 if after else None, 10)
    assert found is not None
    return found


async def post(relay: RunningRelay, **told: object) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session:
        answer = await session.post(f"http://127.0.0.1:{relay.port}/misbehave", json=told)
        return answer.status, await answer.text()


async def test_captures_follow_each_other(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path) as relay, reader_of(relay) as reader:
        first = await newest(reader)
        second = await newest(reader, first)
        held = await reader.held()
        again = await reader.fetch(first.name)
    assert parse_capture(first.text).time.minute + 1 == parse_capture(second.text).time.minute
    assert [one.name for one in held][:2] == [first.name, second.name]
    assert (again.text, again.completed_us) == (first.text, first.completed_us)
    assert second.completed_us is not None
    assert held[1].completed_us is not None
    assert 0 <= held[1].completed_us - second.completed_us < 1_000_000
    assert second.completed_us // 60_000_000 == START_MINUTE + 2


async def test_a_day_is_listed_and_served(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    for minute in range(KEPT):
        time = datetime.fromtimestamp((START_MINUTE - KEPT + minute) * 60, UTC).replace(tzinfo=None)
        text = f"{time:%d %m %Y %H %M}".encode()
        folder.begin("")
        folder.complete(time, START_MINUTE - KEPT + minute, text, other=None, completed_us=minute, real_us=0)
    async with simulated_relay(tmp_path, minute_s=60) as relay, reader_of(relay) as reader:
        held = await reader.held()
        oldest = await reader.fetch(held[0].name)
    assert [one.minute for one in held] == list(range(START_MINUTE - KEPT, START_MINUTE))
    assert (oldest.text, oldest.sha256) == ("02 05 2021 00 00", held[0].sha256)


async def test_the_files_are_what_is_served(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path) as relay, reader_of(relay) as reader:
        first = await newest(reader)
        assert (tmp_path / "captures" / first.name).read_bytes() == first.text.encode()


async def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    written = []
    for run in ("a", "b"):
        async with simulated_relay(tmp_path / run, minute_s=0.1) as relay:
            folder = relay.relay.folder
            await until(lambda: len(list(folder)) >= 4)  # noqa: B023 - within this turn
        files = sorted((tmp_path / run / "captures").glob("03*.txt"))[:4]
        written.append([(file.name, file.read_bytes()) for file in files])
    assert written[0] == written[1]
    assert len(written[0]) == 4


async def test_a_relay_started_again_goes_on(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path, seed=None) as relay, reader_of(relay) as reader:
        before = await newest(reader)
    async with simulated_relay(tmp_path, seed=None) as relay, reader_of(relay) as reader:
        assert (await reader.fetch(before.name)).text == before.text
        after = await newest(reader, await newest(reader))
    assert parse_capture(after.text).time > parse_capture(before.text).time


async def test_a_two_faced_relay_tells_every_second_asker_otherwise(tmp_path: Path) -> None:
    async with (
        simulated_relay(tmp_path, misbehave="two-faced") as relay,
        reader_of(relay, server="5004") as one,
        reader_of(relay, server="5005") as two,
        reader_of(relay, server="5006") as three,
    ):
        first = await newest(one)
        faces = [(await reader.fetch(first.name)).text for reader in (two, three, two, one)]
        assert [text == first.text for text in faces] == [False, True, False, True]
        assert parse_capture(faces[0]).time == parse_capture(first.text).time
        [told] = [held.sha256 for held in await two.held() if held.name == first.name]
        assert told != first.sha256


async def test_garbage_is_no_capture(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path, minute_s=0.1, misbehave="garbage") as relay, reader_of(relay) as reader:
        await until(lambda: len(list(relay.relay.folder)) >= 6)
        for held in (await reader.held())[:6]:
            with pytest.raises((RelayAnswerBad, CaptureError)):
                parse_capture((await reader.fetch(held.name)).text)


async def test_a_repeated_minute_is_nothing_new(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path) as relay, reader_of(relay) as reader:
        await post(relay, kind="repeat", minutes=1)
        await until(lambda: any("(2)" in capture.name for capture in relay.relay.folder))
        held = await reader.held()
    [twice] = [one for one in held if "(2)" in one.name]
    assert len([one for one in held if one.sha256 == twice.sha256]) == 2


async def test_misbehaviour_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path, misbehave="reset") as relay, reader_of(relay) as reader:
        await until(lambda: relay.relay.kind == "reset")
        assert await post(relay, kind="none") == (200, '{"kind": "none"}')
        assert (await newest(reader)).text.startswith("03 05 2021")


@pytest.mark.parametrize(
    "told", [{}, {"kind": "silent"}, {"kind": "silent", "minutes": 0}, {"kind": "x", "minutes": 1}]
)
async def test_a_misbehaviour_that_is_none_is_refused(tmp_path: Path, told: dict[str, object]) -> None:
    async with simulated_relay(tmp_path) as relay:
        status, text = await post(relay, **told)
    assert status == 400
    assert text.startswith("give kind (silent, slow, ")
