"""With the base's packages alone, on a system that is not POSIX, a client enrols, transacts and reads the ledger."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.bare_install import bare_command
from tests.support.local_network import LocalNetwork


def test_a_client_needs_no_extra(network: LocalNetwork, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = bare_command(*arguments, "--dir", network.folder.root, cwd=tmp_path)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    run("enroll", "Org1", "bare")
    user = ("--user", "Org1/bare")
    invoked = json.loads(run("invoke", "shard1", "kv", "add", "bare", "7", *user, "--json"))
    assert (invoked["payload"], invoked["code_name"]) == (7, "VALID")
    assert run("query", "shard1", "kv", "get", "bare", *user) == "7\n"
    assert "7" in run("history", "shard1", "kv", "bare", *user)
    assert "genuine" in run("tx", "shard1", invoked["tx_id"], "--proof", *user)
    assert invoked["tx_id"] in run("events", "shard1", *user)
    assert "shard1" in run("channel", "list", *user)
