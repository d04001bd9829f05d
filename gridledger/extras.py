"""The extras of the distribution: what each installs beyond the base, and the error where that is not installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

from gridledger.errors import GridLedgerError

MODULES: Final[dict[str, tuple[str, ...]]] = {
    "server": ("fastapi", "isal", "lmdb", "prometheus_client", "uvicorn"),
    "feeder": (
        "matplotlib",
        "matpowercaseframes",
        "networkx",
        "numpy",
        "openpyxl",
        "pandapower",
        "pyarrow",
        "scipy",
    ),
    "relay": ("comtrade", "iec61850", "jinja2", "matplotlib", "pyarrow", "pymodbus"),
    "vault": ("jinja2", "matplotlib", "pyeclib"),
    "forensics": (
        "jinja2",
        "matplotlib",
        "numpy",
        "pyarrow",
        "pymodbus",
        "rfc3161_client",
        "scipy",
        "soundfile",
    ),
    "console": ("jinja2", "networkx", "numpy", "scipy"),
    "bench": ("jinja2", "locust", "matplotlib", "psutil", "simpy"),
}
"""The modules that each extra brings wherever it can be installed; uvloop, which Windows lacks, is not among them."""


class MissingExtra(GridLedgerError):
    """A package of an extra is not installed; the message says how to install it."""

    code = "MISSING_EXTRA"

    def __init__(self, user: str, package: str, extra: str) -> None:
        super().__init__(
            f"{user} needs {package}, which is not installed: run pip install 'gridledger[{extra}]' "
            f"(in a checkout: pip install -e '.[{extra}]')",
            package=package,
            extra=extra,
        )


class UnsupportedSystem(GridLedgerError):
    """The operating system lacks what nodes need. The client, the contract API and the simulator run on any."""

    code = "UNSUPPORTED_SYSTEM"

    def __init__(self, user: str) -> None:
        super().__init__(f"{user} needs a POSIX system such as Linux; this is {sys.platform}")


def require_extra(extra: str, user: str) -> None:
    """Raise :class:`MissingExtra` where a package of ``extra`` is not installed. ``user`` is who needs it, in words."""
    for module in MODULES[extra]:
        if not _is_there(module):
            raise MissingExtra(user, module, extra)


def require_server(user: str) -> None:
    """Raise where this machine cannot run nodes: by its system (:class:`UnsupportedSystem`) or its packages."""
    if not _is_there("fcntl"):
        raise UnsupportedSystem(user)
    require_extra("server", user)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
