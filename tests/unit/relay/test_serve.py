"""The command line of ``gridledger relay serve``."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import NotFoundError, SettingsError
from gridledger.settings import load_settings
from services.relay import serve
from services.relay.settings import RelaySettings

PROFILE = cast(
    "ConnectionProfile",
    SimpleNamespace(
        ca=SimpleNamespace(organisations=("Orderer", "Server5004")),
        user=lambda organisation, name: Path(f"/network/organisations/{organisation}/users/{name}"),
    ),
)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Where the settings of a server that would run were written."""
    found: list[Any] = []

    async def enrolled(*given: Any) -> None:
        found.append(given)

    def run(*given: Any) -> int:
        found.append(given[3])
        return 0

    monkeypatch.setattr(serve, "load_profile", lambda folder: PROFILE)
    monkeypatch.setattr(serve, "server_identity", enrolled)
    monkeypatch.setattr("gridledger.web.run_service", run)
    (tmp_path / "connection.json").write_text("{}")
    return found


def test_the_settings_are_those_of_a_companion(ran: list[Any], tmp_path: Path) -> None:
    assert serve.main(["--server", "5004", "--dir", str(tmp_path), "--plain", "--stagger-ms", "50"]) == 0
    (_, organisation, server, hosts), (_, file) = ran
    assert (organisation, server, hosts[0]) == ("Server5004", "5004", "127.0.0.1")
    settings = load_settings(RelaySettings, Path(file))
    assert (settings.server, settings.port, settings.plain, settings.stagger_ms) == ("5004", 5004, True, 50)
    assert settings.connection == tmp_path / "connection.json"
    assert settings.identity == Path("/network/organisations/Server5004/users/relay-server-5004")
    assert settings.data == tmp_path / "relay" / "5004"
    assert jsontext.loads(Path(file).read_bytes())["name"] == "server5004"
    assert settings.operators is None, "its own organisation's"


def test_operators_of_other_organisations_are_named(ran: list[Any], tmp_path: Path) -> None:
    assert serve.main(["--dir", str(tmp_path), "--operators", "Server5004MSP", "GridMSP", "--server", "5004"]) == 0
    assert load_settings(RelaySettings, Path(ran[1][1])).operators == ("Server5004MSP", "GridMSP")


@pytest.mark.parametrize("listen", ["5004", "127.0.0.1:", ":5004", "127.0.0.1:0", "127.0.0.1:65536", "a:b"])
def test_an_address_that_is_none_is_told(ran: list[Any], tmp_path: Path, listen: str) -> None:
    with pytest.raises(SettingsError, match="is no HOST:PORT"):
        serve.main(["--server", "5004", "--dir", str(tmp_path), "--listen", listen])
    assert ran == []


def test_a_server_without_an_organisation_is_told(ran: list[Any], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no organisation 'Server9': name the server's by --as; there are: Orderer"):
        serve.main(["--server", "9", "--dir", str(tmp_path), "--listen", "127.0.0.1:9"])
    assert ran == []
