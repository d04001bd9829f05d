"""The log: one JSON object a line."""

from __future__ import annotations

import io
import json
import logging

from gridledger import logs


def test_a_log_line_is_one_object_with_what_was_given():
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.setup("peer", "peer1", "info", stream)
        logging.getLogger("ledger").info("block %d committed", 7, extra={"channel": "shard1"})
        logging.getLogger("ledger").debug("not this")
        try:
            raise ValueError("inner")
        except ValueError:
            logging.getLogger("ledger").exception("it failed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info",
        "service": "peer",
        "node": "peer1",
        "logger": "ledger",
        "message": "block 7 committed",
        "channel": "shard1",
    }
    assert "ValueError: inner" in second["error"]
