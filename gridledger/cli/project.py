"""The checkout of GridLedger, from which services are started: the published package does not have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gridledger.command_line import tell_error
from gridledger.errors import GridLedgerError, SettingsError
from gridledger.extras import require_extra, require_server


def project() -> Path:
    """The checkout in which we stand, or in which the library lies."""
    for folder in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (folder / "services" / "__init__.py").is_file() and (folder / "network-config").is_dir():
            return folder
    raise SettingsError("the services run from a checkout of GridLedger; change into one")


def run_service(module: str, arguments: list[str], *, extra: str | None, server: bool = True) -> int:
    """Run a service of the checkout in the foreground, in place of this process; the exit code, where it cannot run.

    So signals reach the service itself, and Ctrl-C is told by it alone. ``extra`` is what it needs besides ``server``,
    which it needs too unless it asks for its extras itself.
    """
    user = f"gridledger {module.rpartition('.')[2]}"
    try:
        if server:
            require_server(user)
        if extra is not None:
            require_extra(extra, user)
        path = os.pathsep.join(filter(None, (str(project()), os.environ.get("PYTHONPATH"))))
    except GridLedgerError as error:
        return tell_error(error)
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", module, *arguments]
    if os.name == "posix":  # Windows has no exec that keeps the process
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, command, environment)  # noqa: S606 - our own module
    return subprocess.call(command, env=environment)  # noqa: S603 - our own module
