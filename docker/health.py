"""Is the service of this container healthy? Asks its /healthz over TLS, or as HEALTH_SCHEME says; exit code 0 or 1.

Runs every few seconds in every container, so it uses little of the standard library (``python -I -S``).
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
from pathlib import Path


def main() -> int:
    """Port and roots stand in the settings file that the service was started with, or the roots beside it."""
    path = Path(os.environ["HEALTH_SETTINGS"])
    settings = json.loads(path.read_bytes())
    with socket.create_connection(("127.0.0.1", settings["port"]), timeout=4) as plain:
        if os.environ.get("HEALTH_SCHEME") == "http":
            return ask(plain)
        roots = path.parent / settings.get("roots", settings.get("tls_root", "roots.pem"))
        context = ssl.create_default_context(cafile=str(roots))
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            return ask(connection)


def ask(connection: socket.socket) -> int:
    """0 where the answer is 200."""
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = connection.recv(4096)
    return 0 if answer.split(b" ", 2)[1] == b"200" else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, IndexError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
