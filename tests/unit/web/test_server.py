"""A server that listens: taken ports, addresses, certificate files; and the log."""

from __future__ import annotations

import io
import json
import logging

import pytest

from gridledger import logs
from gridledger.errors import PortTaken, SettingsError
from gridledger.web import ServerSettings, ServerTLS, TLSFiles, WebServer, bind, create_app


async def test_two_that_bind_at_once_and_the_second_is_told(house, free_port):
    tls = ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", []))
    settings = ServerSettings("127.0.0.1", free_port, tls)
    second = bind("127.0.0.1", free_port)
    async with WebServer(create_app("test", house.authenticate), settings):
        with pytest.raises(PortTaken):
            await WebServer(create_app("test", house.authenticate), settings).start(second)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 0), ("127.0.0.1", 70000), ("no.such.host.invalid", 7050)])
def test_an_address_that_cannot_be(host, port):
    with pytest.raises(SettingsError, match=r"port must be|cannot listen on"):
        bind(host, port)


def test_files_that_are_no_certificates_are_named(house, tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.pem"):
        ServerTLS(TLSFiles(tmp_path / "nowhere.pem", tmp_path / "key.pem", []))
    with pytest.raises(SettingsError, match=r"roots in .*missing"):
        ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", [tmp_path / "missing"]))
    with pytest.raises(SettingsError, match="cannot read TLS root"):
        ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", ["-----BEGIN NONSENSE"]))


def test_a_log_line_is_one_object_with_what_was_given(house):
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.setup("peer", "peer1", "info", stream)
        logging.getLogger("ledger").info("block %d committed", 7, extra={"channel": "shard1"})
        logging.getLogger("ledger").debug("not this")
        try:
            raise ValueError("inner")
        except ValueError:
            logging.getLogger("ledger").exception("it failed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info",
        "service": "peer",
        "node": "peer1",
        "logger": "ledger",
        "message": "block 7 committed",
        "channel": "shard1",
    }
    assert "ValueError: inner" in second["error"]
