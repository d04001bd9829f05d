"""``connect``: by a network's folder, as one of its users."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gridledger import client, jsontext
from gridledger.client import blocking
from gridledger.errors import NotFoundError, SettingsError
from gridledger.network.bootstrap import connection_profile
from gridledger.network.schema import load_network_config
from tests.support.paper import PaperOrganisation
from tests.support.processes import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network's folder as bootstrap leaves it, with two users."""
    config = load_network_config(REPOSITORY / "network-config" / "no-shard.yaml")
    (tmp_path / "connection.json").write_bytes(jsontext.dumps(connection_profile(config, {})))
    organisation = PaperOrganisation("Org2MSP")
    (tmp_path / "roots.pem").write_text(organisation.root)
    for name, role in (("admin", "admin"), ("alice", "client")):
        organisation.issue(name, role).save(tmp_path / "organisations" / "Org2" / "users" / name)
    return tmp_path


async def test_a_user_reaches_the_own_organisations_peer_first(folder: Path) -> None:
    async with await client.connect(folder, user="Org2/alice") as gateway:
        assert (gateway.identity.certificate.common_name, gateway.node.base_url) == ("alice", "https://127.0.0.1:7152")


async def test_without_a_user_the_first_one_connects(folder: Path) -> None:
    async with await client.connect(client.load_profile(folder)) as gateway:
        assert gateway.identity.certificate.common_name == "admin"


async def test_an_identity_from_elsewhere_may_connect(folder: Path) -> None:
    other = PaperOrganisation("Org3MSP").issue("carol", "client")
    async with await client.connect(folder, identity=other) as gateway:
        assert (gateway.identity, gateway.node.base_url) == (other, "https://127.0.0.1:7153")
    with pytest.raises(SettingsError, match="not both"):
        await client.connect(folder, user="Org2/alice", identity=other)


async def test_a_user_who_is_not_there_is_told_who_is(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no user 'Org2/bob'; there are: Org2/admin, Org2/alice$"):
        await client.connect(folder, user="Org2/bob")


async def test_the_blocking_twin_connects_alike(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEDGER_PROFILE", str(folder))

    def program() -> str:
        with blocking.connect(user="Org2/alice") as gateway:
            return gateway.identity.certificate.common_name

    assert await asyncio.to_thread(program) == "alice"


def test_the_client_needs_nothing_of_one_system_alone() -> None:
    hidden = ("fcntl", "resource", "uvloop", "lmdb", "fastapi", "starlette", "uvicorn", "numpy", "httpx")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden!r}));"
        "import gridledger.client.blocking, gridledger.client.profile, gridledger.client.testing"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
