"""What a server's page for people is given: the newest captures with what each server said of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from services.relay.server.page import page
from services.relay.server.view import View
from tests.support.relay_channel import MINUTE, RelayChannel, after, told
from tests.support.relay_commands import ledger_on


class _Collectors(list[Any]):
    """A server that follows one relay, which it has not begun to read."""

    records: dict[str, Any] = {"Rele_1": {}}  # noqa: RUF012 - read only
    passed_over = [{"operator": "OtherMSP", "relays": 2, "why": "not trusted"}]  # noqa: RUF012 - read only

    def get(self, _: str) -> None:
        return None


class _Nodes:
    async def states(self) -> list[dict[str, Any]]:
        return []


async def test_the_page_tells_who_is_against_a_capture() -> None:
    channel = RelayChannel().register()
    channel.record("5004", told(MINUTE, seed=1), time_us=after(MINUTE))
    channel.attest("5005", told(MINUTE, seed=1), MINUTE, after(MINUTE))
    channel.attest("5006", told(MINUTE, seed=2), MINUTE, after(MINUTE))
    chains = SimpleNamespace(newest=lambda _: MINUTE, summary=list)
    parts: tuple[Any, ...] = (ledger_on(channel), _Collectors())
    view = View("5004", *parts, chains=cast("Any", chains), nodes=cast("Any", _Nodes()), max_page=100)
    shown = await view.summary()
    (capture,) = shown["relays"][0]["captures"]
    assert [(one["server"], one["match"]) for one in capture["attestations"]] == [("5005", True), ("5006", False)]
    html = page("5004", **shown)
    assert "<td data-head='attested by'>5005<td data-head='against'><b class=bad>5006</b>" in html
    assert "2 of OtherMSP not followed: not trusted" in html
