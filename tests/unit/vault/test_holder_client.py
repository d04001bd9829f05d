"""Calls of holders: at addresses that are none, and of more processes than connections are kept to."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError
from gridledger.transport.node_client import ConnectionFailed
from services.vault import holder_client
from services.vault.holder_client import HolderClients, address_of
from tests.support.vault_channel import module
from tests.support.vault_world import VaultWorld

NONE = (
    "https://[",
    "https://[::1",
    "https://127.0.0.1:99999/holders/m1-a",
    "https://127.0.0.1:0/holders/m1-a",
    "https://a:b/holders/m1-a",
    "https://:5210/holders/m1-a",
    "https:///holders/m1-a",
    "http://127.0.0.1:5210/holders/m1-a",
)


def test_where_a_process_is() -> None:
    assert address_of("https://127.0.0.1:5210/holders/m1-a") == ("https://127.0.0.1:5210", "/holders/m1-a")
    assert address_of("https://[::1]:5210/holders/m1-a") == ("https://[::1]:5210", "/holders/m1-a")


@pytest.mark.parametrize("url", NONE)
async def test_what_is_no_address_is_an_error_of_ours(world: VaultWorld, url: str) -> None:
    """The contract takes most of these: it looks at the letters only."""
    async with HolderClients(world.base, world.security.root) as calls:
        with pytest.raises(InputError, match="has to join again with one such as"):
            await calls.describe(url)


def test_the_contract_lets_such_an_address_in() -> None:
    assert module("arguments").url("https://[") == "https://["


async def test_connections_to_the_processes_called_last_are_kept(
    world: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder_client, "_MAX_PROCESSES", 2)
    async with HolderClients(world.base, world.security.root) as calls:
        for port in (1, 2, 1, 3):
            with pytest.raises(ConnectionFailed):
                await calls.describe(f"https://127.0.0.1:{port}/holders/m1-a")
        assert list(calls._processes) == ["https://127.0.0.1:1", "https://127.0.0.1:3"]
