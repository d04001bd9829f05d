"""The health check of the images: asks a service that has no certificate over plain HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY


class _Device(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(("scheme", "status", "code"), [("http", 200, 0), ("http", 503, 1), ("https", 200, 1)])
def test_a_service_without_certificate_is_asked_plainly(tmp_path: Path, scheme: str, status: int, code: int) -> None:
    server = HTTPServer(("127.0.0.1", 0), type("Device", (_Device,), {"status": status}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps({"port": server.server_port}))
    environment = {"HEALTH_SETTINGS": str(settings), "HEALTH_SCHEME": scheme}
    command = [sys.executable, "-I", "-S", str(REPOSITORY / "docker" / "health.py")]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=20, check=False)
    server.shutdown()
    server.server_close()
    assert done.returncode == code, done.stderr
