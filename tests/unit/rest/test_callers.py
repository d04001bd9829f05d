"""Who may call the bridge: the Host header, tokens in files, and as whom a client may act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gridledger.errors import SettingsError
from gridledger.web import WrongHost
from services.rest.callers import Callers, Client
from services.rest.errors import TokenRequired
from services.rest.settings import RestSettings
from services.rest.tokens import DEFAULT_CLIENT, Tokens

TOKEN = "t" * 40


def settings(folder: Path, **more: Any) -> RestSettings:
    members = {
        "name": "rest",
        "port": 8080,
        "data": folder,
        "connection": folder / "connection.json",
        "identities": {"one": folder / "one", "two": folder / "two"},
        "tokens": folder / "tokens",
    }
    return RestSettings(**{**members, **more})


def callers(folder: Path, **more: Any) -> Callers:
    made = settings(folder, **more)
    made.tokens.mkdir(exist_ok=True)
    (made.tokens / "matlab").write_text(f"{TOKEN}\n")
    tokens = Tokens(made.tokens)
    tokens.open(on_loopback=made.on_loopback)
    return Callers(made, tokens)


def request(host: str = "localhost:8080", authorization: str = f"Bearer {TOKEN}") -> dict[str, Any]:
    return {"headers": [(b"host", host.encode()), (b"authorization", authorization.encode())]}


def test_a_client_is_known_by_its_token(tmp_path):
    assert callers(tmp_path).identify(request()) == Client("matlab", ("one", "two"))


def test_a_client_acts_as_whom_the_settings_say(tmp_path):
    assert callers(tmp_path, clients={"matlab": ["two"]}).identify(request()) == Client("matlab", ("two",))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "grid.lab:8080"])
def test_hosts_of_the_bridge_are_taken(tmp_path, host):
    callers(tmp_path, hostnames=["grid.lab"]).identify(request(host))


@pytest.mark.parametrize("host", ["evil.example", "localhost:8081", "localhost.evil.example", "", "127.0.0.1:8080,x"])
def test_other_hosts_are_refused(tmp_path, host):
    with pytest.raises(WrongHost):
        callers(tmp_path).identify(request(host))


def test_two_host_headers_are_refused(tmp_path):
    twice = {"headers": [*request()["headers"], (b"host", b"localhost:8080")]}
    with pytest.raises(WrongHost):
        callers(tmp_path).identify(twice)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", f"Basic {TOKEN}", "Bearer wrong", f"Bearer {TOKEN}x", "Bearer é"]
)
def test_no_token_no_call(tmp_path, authorization):
    with pytest.raises(TokenRequired):
        callers(tmp_path).identify(request(authorization=authorization))


def test_files_are_clients_from_one_request_to_the_next(tmp_path):
    known = callers(tmp_path)
    (tmp_path / "tokens" / "excel").write_text("e" * 40)
    assert known.identify(request(authorization=f"Bearer {'e' * 40}")).name == "excel"
    (tmp_path / "tokens" / "matlab").unlink()
    with pytest.raises(TokenRequired):
        known.identify(request())


def test_a_token_is_made_on_loopback_only(tmp_path):
    Tokens(tmp_path / "own").open(on_loopback=True)
    made = tmp_path / "own" / DEFAULT_CLIENT
    assert len(made.read_text().strip()) >= 32
    assert made.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError, match="no client has a token"):
        Tokens(tmp_path / "remote").open(on_loopback=False)


def test_a_short_token_is_told_at_the_start_and_skipped_later(tmp_path):
    known = callers(tmp_path)
    (tmp_path / "tokens" / "weak").write_text("1234")
    assert known.identify(request()).name == "matlab"
    with pytest.raises(TokenRequired):
        known.identify(request(authorization="Bearer 1234"))
    with pytest.raises(SettingsError, match="weak"):
        Tokens(tmp_path / "tokens").open(on_loopback=True)


def test_beyond_loopback_only_with_tls(tmp_path):
    with pytest.raises(ValidationError, match="give the bridge tls"):
        settings(tmp_path, host="0.0.0.0")
    assert settings(tmp_path, host="0.0.0.0", tls={"cert": "c", "key": "k"}).tls is not None
    assert settings(tmp_path, host="::1").on_loopback


def test_clients_act_as_identities_that_there_are(tmp_path):
    with pytest.raises(ValidationError, match="no identities"):
        settings(tmp_path, clients={"matlab": ["three"]})
