"""A chaincode that has an application's name and answers otherwise spoils no other place."""

from __future__ import annotations

from typing import Any, cast

from gridledger.errors import UnavailableError
from services.console.applications import Place, of_each
from services.console.viewers import Viewer

VIEWER = cast("Viewer", None)
THERE = [Place(f"channel{number}", "cases", VIEWER) for number in range(5)]


async def test_a_place_that_cannot_be_read_is_told_and_the_others_are_shown() -> None:
    async def read(place: Place) -> list[str]:
        answers: dict[str, Any] = {"channel1": {"case": "a"}, "channel2": "no list", "channel3": None}
        if place.channel == "channel4":
            raise UnavailableError("no peer answers")
        return [str(answers.get(place.channel, {"case": "b"})["case"])]

    found, faults = await of_each(THERE, read)
    assert found == ["b", "a"]
    assert faults == [
        "cases on channel2 cannot be read: its answers are not those of this application",
        "cases on channel3 cannot be read: its answers are not those of this application",
        "cases on channel4 cannot be read: no peer answers",
    ]
