"""Who may call a companion: members of a channel, by its configuration as the ledger has it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.config import ChannelConfig

LOOK_EVERY_S: Final = 5.0
FIRST_LOOK_EVERY_S: Final = 0.25
"""Until a configuration is known nobody is served, so a peer that starts beside is asked often."""

_log = logging.getLogger(__name__)


class ConfigSource(Protocol):
    """The channel, through a gateway."""

    async def get_chain_info(self) -> ChainInfo:
        """How far the channel is."""

    async def get_config(self) -> ChannelConfig:
        """The channel's configuration."""


class Members:
    """The channel's organisations. ``trust`` is told root certificates (PEM) that connections may show from now on.

    The channel is asked for its first configuration every :data:`FIRST_LOOK_EVERY_S`, and for another one every
    ``every_s`` seconds.
    """

    def __init__(
        self,
        source: ConfigSource,
        trust: Callable[[str], None],
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        *,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._source = source
        self._trust = trust
        self._now_us = now_us
        self._every_s = every_s
        self._config: ChannelConfig | None = None

    def authenticate(self, certificate: Certificate) -> Identity:
        """Who calls; an identity error for a stranger, :class:`UnavailableError` while no configuration is known."""
        if self._config is None:
            raise UnavailableError("the channel's members are not known yet: no peer has answered since the start")
        return self._config.msps.identify(certificate, self._now_us())

    def admit(self, resource: str, identity: Identity) -> None:
        """Raise :class:`PermissionDeniedError` unless the channel's policy of a resource admits the identity, and
        :class:`UnavailableError` while no configuration is known."""
        if self._config is None:
            raise UnavailableError("the channel's policies are not known yet: no peer has answered since the start")
        self._config.admit(resource, identity)

    async def follow(self) -> None:
        """Follow the configuration until this is cancelled; without the ledger the last one known holds."""
        while True:
            try:
                await self.look()
            except GridLedgerError as error:
                _log.debug("the channel's configuration cannot be asked for", extra={"why": error.message})
            await asyncio.sleep(FIRST_LOOK_EVERY_S if self._config is None else self._every_s)

    async def look(self) -> None:
        """Ask whether there is another configuration, and take it."""
        if self._config is not None:
            info = await self._source.get_chain_info()
            if info.config_sequence <= self._config.sequence:
                return
        config = await self._source.get_config()
        if self._config is None or config.sequence > self._config.sequence:
            self._trust(config.msps.roots_pem())
            self._config = config
            _log.info("served are the members of config %d", config.sequence)
