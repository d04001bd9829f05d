"""Opening the browser with a login's token, without the token in any command line."""

from __future__ import annotations

import html
import sys
import webbrowser
from pathlib import Path

from gridledger.command_line import one_line


def open_browser(file: Path, origin: str, token: str) -> bool:
    """Open ``file``, made for this, which posts the token; whether there is a browser. It must stay until it was read.

    An address with the token in it would stand in the browser's command line for every user of the machine.
    """
    action, value = html.escape(f"{origin}/login", quote=True), html.escape(token, quote=True)
    file.touch(mode=0o600)
    file.write_text(
        "<!doctype html><meta charset=utf-8><title>GridLedger console</title>"
        f'<form method=post action="{action}"><input type=hidden name=token value="{value}">'
        "<button>Log in to the GridLedger console</button></form><script>document.forms[0].submit()</script>",
        encoding="utf-8",
    )
    try:
        return webbrowser.open(file.as_uri())
    except (OSError, webbrowser.Error) as error:
        sys.stderr.write(f"no browser: {one_line(str(error))}\n")
        return False
