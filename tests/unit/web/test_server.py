"""A server that listens: taken ports and addresses that cannot be."""

from __future__ import annotations

import pytest

from gridledger.errors import PortTaken, SettingsError
from gridledger.web import ServerSettings, ServerTLS, TLSFiles, WebServer, bind, by_certificate, create_app


async def test_two_that_bind_at_once_and_the_second_is_told(house, free_port):
    tls = ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", []))
    settings = ServerSettings("127.0.0.1", free_port, tls)
    second = bind("127.0.0.1", free_port)
    async with WebServer(create_app("test", by_certificate(house.authenticate)), settings):
        with pytest.raises(PortTaken):
            await WebServer(create_app("test", by_certificate(house.authenticate)), settings).start(second)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 0), ("127.0.0.1", 70000), ("no.such.host.invalid", 7050)])
def test_an_address_that_cannot_be(host, port):
    with pytest.raises(SettingsError, match=r"port must be|cannot listen on"):
        bind(host, port)
