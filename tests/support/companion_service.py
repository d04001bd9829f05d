"""A small companion: answers /healthz with who it is. ``python -m tests.support.companion_service --config FILE``."""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from gridledger.client.profile import load_profile
from gridledger.identity.signer import SigningIdentity


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    path = parser.parse_args().config
    settings = json.loads(path.read_text())
    identities = {
        organisation: SigningIdentity.load(path.parent / place)
        for organisation, place in settings["identities"].items()
    }
    told = {
        "status": "ok",
        "network": load_profile(path.parent / settings["connection"]).name,
        "mood": settings["mood"],
        "identities": {
            organisation: [identity.mspid, identity.certificate.attributes.get("grid.role")]
            for organisation, identity in identities.items()
        },
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

    HTTPServer((settings["host"], settings["port"]), Handler).serve_forever()


if __name__ == "__main__":
    main()
