"""Vendored files are the ones that vendor.json names, and each has its licence."""

from __future__ import annotations

import base64
import hashlib

from services.console.vendored import FOLDER, vendored


def test_each_file_has_its_hash_and_its_licence() -> None:
    named = {"vendor.json"}
    for package in vendored():
        assert (FOLDER / package["licence_file"]).stat().st_size > 0
        assert package["integrity"].startswith("sha512-")
        named.add(package["licence_file"])
        for file in package["files"]:
            digest = hashlib.sha512((FOLDER / file["name"]).read_bytes()).digest()
            assert file["sha512"] == f"sha512-{base64.b64encode(digest).decode()}", file["name"]
            named.add(file["name"])
    assert {path.name for path in FOLDER.iterdir()} == named
