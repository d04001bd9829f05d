"""The server's certificate, key and roots."""

from __future__ import annotations

import pytest

from gridledger.errors import SettingsError
from gridledger.web import ServerTLS, TLSFiles


def test_files_that_are_no_certificates_are_named(house, tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.pem"):
        ServerTLS(TLSFiles(tmp_path / "nowhere.pem", tmp_path / "key.pem", []))
    with pytest.raises(SettingsError, match=r"roots in .*missing"):
        ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", [tmp_path / "missing"]))
    with pytest.raises(SettingsError, match="cannot read TLS root"):
        ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", ["-----BEGIN NONSENSE"]))
