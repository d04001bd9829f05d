"""The chaincode hosts of this peer: a pool of processes for each package that a channel's config names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

from gridledger.contract.host_process import ChaincodeUnavailable
from gridledger.contract.pool import HostPool
from gridledger.errors import GridLedgerError
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig
from services.peer.endorser import Admitted
from services.peer.errors import ChaincodeNotInstalled
from services.peer.packages import Packages
from services.peer.settings import HostLimits

_log = logging.getLogger(__name__)


class ChaincodeHosts:
    """Starts pools as configs ask for them and packages are installed, and closes those that no config names any more.

    Channels that name the same package share its pool.
    """

    def __init__(self, packages: Packages, ledgers: Path, limits: HostLimits) -> None:
        self._packages = packages
        self._ledgers = ledgers
        self._limits = limits
        self._pools: dict[str, HostPool] = {}
        self._reasons: dict[str, GridLedgerError] = {}
        self._wanted: dict[str, str] = {}
        self._changing = asyncio.Lock()

    async def follow(self, configs: Iterable[ChannelConfig]) -> None:
        """Have a pool for every package that these configs name and this peer has, and no others.

        A chaincode that cannot be started hinders no other; its calls say why.
        """
        async with self._changing:
            definitions = [item for config in configs for item in config.chaincodes.values()]
            self._wanted = {item.package: item.name for item in definitions}
            missing = [package for package in self._wanted if package not in self._pools]
            await asyncio.gather(*(self._start(package, self._wanted[package]) for package in missing))
            unused = [package for package in self._pools if package not in self._wanted]
            for package in unused:
                pool = self._pools.pop(package)
                _log.info("chaincode %s, package %s: no channel names it any more", pool.name, package)
                await pool.close()

    async def installed(self, package: str) -> None:
        """A package was installed: start its pool if a channel has been waiting for it."""
        async with self._changing:
            name = self._wanted.get(package)
            if name is not None and package not in self._pools:
                await self._start(package, name)

    async def run(self, admitted: Admitted) -> str:
        """The text of the proposal's result. Raises :class:`ChaincodeNotInstalled`, and what the pool raises."""
        pool = self._pools.get(admitted.definition.package)
        if pool is None:
            raise self._reason(admitted.definition)
        signed = admitted.signed
        return await pool.call(signed.proposal, admitted.creator, signed.transient)

    def status(self) -> dict[str, dict[str, int]]:
        """Per chaincode and package what its pool does now."""
        return {f"{pool.name} {package[:12]}": pool.status() for package, pool in self._pools.items()}

    async def close(self) -> None:
        """End all hosts."""
        async with self._changing:
            pools = list(self._pools.values())
            self._pools.clear()
            await asyncio.gather(*(pool.close() for pool in pools))

    def _reason(self, definition: ChaincodeDefinition) -> GridLedgerError:
        known = self._reasons.get(definition.package)
        if known is not None:
            return ChaincodeUnavailable(known.message)
        return ChaincodeNotInstalled(
            f"the package {definition.package} of the chaincode {definition.name} is not installed on this peer: "
            "an admin of its organisation posts it to /packages",
            package=definition.package,
        )

    async def _start(self, package: str, name: str) -> None:
        self._reasons.pop(package, None)
        try:
            folder = await asyncio.to_thread(self._packages.folder, package)
            if folder is None:
                _log.warning("chaincode %s: its package %s is not installed on this peer", name, package)
                return
            pool = HostPool(
                folder,
                self._ledgers,
                name=name,
                size=self._limits.processes,
                call_timeout_s=self._limits.call_timeout_s,
                memory_bytes=self._limits.memory_bytes,
            )
            await pool.start()
        except (GridLedgerError, OSError) as error:
            known = error if isinstance(error, GridLedgerError) else ChaincodeUnavailable(f"its files: {error}")
            self._reasons[package] = known
            _log.error("chaincode %s cannot be started: %s", name, known.message)
        else:
            self._pools[package] = pool
            _log.info("chaincode %s is ready, package %s", name, package)
