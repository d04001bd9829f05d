"""The article's chain of a channel: grown by confirmed captures, kept in a file, answered with the ledger's texts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.client import ChaincodeEvent
from gridledger.errors import CorruptionError, NotFoundError, UnavailableError
from services.relay.article import verify_chain
from services.relay.server.chain_form import ChainForm
from services.relay.server.chains import Chains
from tests.support.waiting import until

GENESIS_US = 1_796_007_777_129_917


class Ledger:
    """Confirmed captures in the order of their verdicts; ``told`` holds the events."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.told: list[ChaincodeEvent] = []
        self.grown = asyncio.Event()
        self.asked_from: list[int] = []

    def confirm(self, minute: int, by: str = "5005", relay: str = "Rele_1") -> None:
        self.texts.setdefault(minute, f"text of {minute}\n")
        payload = {"relay": relay, "minute": minute, "status": "confirmed", "by": by}
        block = 10 + len(self.told)
        self.told.append(ChaincodeEvent("substation", "relay", "CaptureConfirmed", payload, "00", block, 0, 0))
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        text = self.texts[minute]
        return {"minute": minute, "time_us": GENESIS_US + minute, "record": {"text": text, "server": "5009"}}

    async def events(self, start: int) -> AsyncIterator[ChaincodeEvent]:
        self.asked_from.append(start)
        number = 0
        while True:
            while number < len(self.told):
                if self.told[number].block >= start:
                    yield self.told[number]
                number += 1
            await self.grown.wait()


@contextlib.asynccontextmanager
async def growing(path: Path, ledger: Ledger, relay: str = "Rele_1") -> AsyncIterator[ChainForm]:
    async def genesis_us() -> int:
        return GENESIS_US

    chain = ChainForm(path, relay, ledger, ledger.events, genesis_us, random=Random(1))
    task = asyncio.create_task(chain.run())
    try:
        yield chain
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        chain.close()


async def of_length(chain: ChainForm, length: int) -> None:
    await until(lambda: chain.length == length, within_s=20)


async def whole(chain: ChainForm) -> bytes:
    return jsontext.dumps({"1_length": chain.length, "2_chain": await chain.blocks(1, 1000)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "chain"


async def test_a_minute_is_a_block_once_in_the_order_of_verdicts(path: Path) -> None:
    ledger = Ledger()
    for minute in (7, 5, 7, 6):
        ledger.confirm(minute)
    async with growing(path, ledger) as chain:
        await of_length(chain, 4)
        blocks = await chain.blocks(1, 10)
        told = [block["5_transactions"][0]["C. Informacion"] for block in blocks[1:]]
        assert told == ["text of 7\n", "text of 5\n", "text of 6\n"]
        assert blocks[1]["5_transactions"][0]["B. Servidor"] == "Red_BKC_NODO_5005"
        verify_chain(await whole(chain))
        assert (await chain.check(1, 10))["valid"]
        assert (await chain.check(3, 10)) == {
            "valid": True,
            "length": 4,
            "from": 3,
            "checked": 2,
            "fault": None,
            "head": verify_chain(await whole(chain))["head"],
        }
        assert chain.newest == 7
        assert [block["1_Index"] for block in await chain.blocks(2, 2)] == [2, 3]
        assert await chain.blocks(5, 2) == []


async def test_a_restart_goes_on_where_the_file_ends(path: Path) -> None:
    ledger = Ledger()
    ledger.confirm(1)
    ledger.confirm(2)
    async with growing(path, ledger) as chain:
        await of_length(chain, 3)
        before = await whole(chain)
    ledger.confirm(3)
    async with growing(path, ledger) as chain:
        await of_length(chain, 4)
        assert ledger.asked_from == [0, 11]
        assert jsontext.loads(await whole(chain))["2_chain"][:3] == jsontext.loads(before)["2_chain"]


def _cut(content: bytes) -> bytes:
    return content[:-5]


def _flip(content: bytes) -> bytes:
    return content[:200] + bytes((content[200] ^ 1,)) + content[201:]


def _swap(content: bytes) -> bytes:
    half = len(content) // 2
    return content[half:] + content[:half]


def _lose(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [_cut, _flip, _swap, _lose])
async def test_a_damaged_file_is_made_anew_to_the_same(path: Path, damage: Callable[[bytes], bytes]) -> None:
    ledger = Ledger()
    ledger.confirm(1)
    ledger.confirm(2)
    async with growing(path, ledger) as chain:
        await of_length(chain, 3)
        before = await whole(chain)
    content = path.read_bytes()
    path.write_bytes(damage(content))
    async with growing(path, ledger) as chain:
        await of_length(chain, 3)
        assert await whole(chain) == before
    assert path.read_bytes() == content


async def test_a_text_that_is_not_the_chains_is_told(path: Path) -> None:
    ledger = Ledger()
    for minute in (1, 2, 3):
        ledger.confirm(minute)
    async with growing(path, ledger) as chain:
        await of_length(chain, 4)
        ledger.texts[2] = "altered\n"
        with pytest.raises(CorruptionError, match="block 3: the ledger's text of Rele_1, minute 2"):
            await chain.blocks(1, 10)
        told = await chain.check(1, 10)
        assert told["valid"] is False
        assert told["fault"].startswith("block 3")
        assert len(await chain.blocks(4, 1)) == 1


async def test_without_the_ledger_the_chain_is_not_known(path: Path) -> None:
    async def fails() -> int:
        raise UnavailableError("no gateway can be reached")

    ledger = Ledger()
    chain = ChainForm(path, "Rele_1", ledger, ledger.events, fails, random=Random(1))
    task = asyncio.create_task(chain.run())
    await until(lambda: chain.fault is not None, within_s=5)
    with pytest.raises(UnavailableError, match="no gateway can be reached"):
        await chain.blocks(1, 1)
    task.cancel()


async def test_a_chain_has_the_captures_of_its_relay_alone(path: Path) -> None:
    ledger = Ledger()
    ledger.confirm(1, relay="Evil")
    ledger.confirm(2)
    ledger.confirm(2, relay="Evil")
    ledger.confirm(3)
    async with growing(path, ledger) as chain:
        await of_length(chain, 3)
        told = [block["5_transactions"][0]["A. Equipo"] for block in (await chain.blocks(2, 9))]
        assert told == ["Rele_1", "Rele_1"]
        assert chain.newest == 3
    content = path.read_bytes()
    async with growing(path, ledger, "Evil") as chain:
        await of_length(chain, 3)
    assert path.read_bytes() != content, "the file of another relay's chain is made anew"


async def test_a_server_has_the_chains_of_its_relays(tmp_path: Path) -> None:
    async def genesis_us() -> int:
        return GENESIS_US

    ledger = Ledger()
    ledger.confirm(1, relay="B")
    ledger.confirm(2, relay="A")
    ledger.confirm(3, relay="B")
    chains = Chains(lambda relay: ChainForm(tmp_path / relay / "chain", relay, ledger, ledger.events, genesis_us))
    with pytest.raises(UnavailableError, match="follows no relay"):
        chains.of(None)
    chains.follow({"B"})
    chains.follow({"A", "B"})
    await of_length(chains.of(None), 2)
    await of_length(chains.of("B"), 3)
    assert [(item["relay"], item["length"]) for item in chains.summary()] == [("A", 2), ("B", 3)]
    assert (chains.newest("A"), chains.newest("B"), chains.newest("C")) == (2, 3, None)
    with pytest.raises(NotFoundError, match="does not follow C; it follows: A, B"):
        chains.of("C")
    chains.follow({"A"})
    with pytest.raises(NotFoundError, match="does not follow B"):
        chains.of("B")
    ledger.confirm(4, relay="A")
    await of_length(chains.of("A"), 3)
    await chains.aclose()
    assert chains.summary() == []
