"""The log of a process: one JSON object a line on standard error.

Members: ``time`` (UTC, microseconds), ``level``, ``service``, ``node``, ``logger``, ``message``, then what was given as
``extra={...}``, then ``error`` with the traceback where there is one. The module imports nothing heavy, so that
committers and chaincode hosts can use it too.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    def __init__(self, service: str, node: str) -> None:
        super().__init__()
        self._service = service
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "service": self._service,
            "node": self._node,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in record.__dict__.items():
            if name not in _STANDARD and not name.startswith("_"):
                line.setdefault(name, value)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def setup(service: str, node: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Make this process log. Calling it again replaces what was set up before.

    ``level`` is debug, info, warning or error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(service, node))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Every error of a request is logged once by our edge, with its cause; uvicorn would log the same again.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    for name in ("asyncio", "aiohttp", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
