"""What is wrong with a channel's anchors: each kind is told once when it begins, and once when it is over."""

from __future__ import annotations

import logging
from typing import Final

from services.anchor import metrics

KINDS: Final = ("late", "members", "forked", "rewritten", "peer", "ledger", "devices")
"""No anchor for three intervals; the record of members is another than the configuration; two heads at one size; the
own peer's chain is another than was anchored or followed; no own peer answers; the anchoring channel does not answer;
a section has devices that the registry does not have so.
"""

_log = logging.getLogger(__name__)


class Alarms:
    """The alarms of one channel, by kind, each with what there is to say."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._on: dict[str, str] = {}

    @property
    def on(self) -> dict[str, str]:
        """Those that are on now: what each has to say."""
        return dict(self._on)

    def set(self, kind: str, why: str | bool | None) -> None:
        """An alarm is on with this text, or off."""
        before = self._on.pop(kind, None)
        if why:
            self._on[kind] = str(why)
            if before is None:
                _log.warning("%s: ALARM %s: %s", self._channel, kind, why)
        elif before is not None:
            _log.info("%s: the alarm %s is over", self._channel, kind)
        metrics.ALARMS.labels(self._channel, kind).set(1 if why else 0)
