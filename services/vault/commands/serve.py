"""``gridledger vault serve``: run a process of holders, or the base, by its settings file."""

from __future__ import annotations

import importlib

from services.vault.commands.options import new_parser

_MODULES = {"holders": "services.vault.holding", "base": "services.vault.base.__main__"}


def main(argv: list[str]) -> int:
    """Run a service until it is told to stop; the exit code."""
    parser = new_parser(
        "serve",
        "Run a process of holders, or the base, that the network's supervisor does not start.",
        ("serve holders --config out/network/vault/m1-infrared-3/config.json",),
    )
    parser.add_argument("what", choices=sorted(_MODULES), help="which service")
    parser.add_argument("--config", required=True, metavar="FILE", help="its settings file")
    options = parser.parse_args(argv)
    code: int = importlib.import_module(_MODULES[options.what]).main(["--config", options.config])
    return code
