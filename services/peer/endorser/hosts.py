"""The chaincode hosts of this peer: a pool of processes for each package that a channel's config names."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from gridledger.contract.hosting.host_process import ChaincodeUnavailable, HostProcess, HostSettings
from gridledger.contract.hosting.pool import HostPool
from gridledger.errors import GridLedgerError, from_wire
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig
from services.peer.endorser.endorser import AdmittedProposal
from services.peer.endorser.packages import Packages
from services.peer.errors import ChaincodeNotInstalled
from services.peer.settings import HostLimits

_log = logging.getLogger(__name__)


TRY_AGAIN_S = 5.0
"""How long after a failed start a call to the chaincode makes another attempt."""


class _Reason(NamedTuple):
    error: GridLedgerError
    until: float


class ChaincodeHosts:
    """Starts pools as configs ask for them and packages are installed, and closes those that no config names any more.

    Channels that name the same package share its pool.
    """

    def __init__(
        self, packages: Packages, ledgers: Path, limits: HostLimits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._packages = packages
        self._ledgers = ledgers
        self._limits = limits
        self._pools: dict[str, HostPool] = {}
        self._clock = clock
        self._reasons: dict[str, _Reason] = {}
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
            for package in self._reasons.keys() - self._wanted.keys():
                del self._reasons[package]
            for package in unused:
                pool = self._pools.pop(package)
                _log.info("chaincode %s, package %s: no channel names it any more", pool.name, package)
                await pool.close()

    def forget(self, channel: str) -> None:
        """A channel's ledger was removed: no host is to read it any more."""
        for pool in self._pools.values():
            pool.forget_ledger(channel)

    async def installed(self, package: str) -> None:
        """A package was installed: start its pool if a channel has been waiting for it."""
        async with self._changing:
            name = self._wanted.get(package)
            if name is not None and package not in self._pools:
                await self._start(package, name)
            elif name is None:
                self._reasons.pop(package, None)

    async def check(self, package: str, folder: Path) -> None:
        """Load a package that lies in ``folder`` in a host that serves nobody and sees no ledger, and end the host.

        Raises ChaincodeLoadError (400), which says what is wrong with the package, and :class:`ChaincodeUnavailable`
        where no host can be started.
        """
        limits = self._limits
        settings = HostSettings(
            f"of package {package[:12]}",
            folder,
            ledger_dir=folder,
            memory_bytes=limits.memory_bytes,
            start_timeout_s=limits.start_timeout_s,
        )
        try:
            host = await HostProcess.load(settings)
        except OSError as error:
            raise ChaincodeUnavailable(f"no host could be started to check the package: {error}") from error
        await host.kill()

    async def run(self, proposal: AdmittedProposal) -> str:
        """The text of the proposal's result. Raises :class:`ChaincodeNotInstalled`, and what the pool raises."""
        pool = self._pools.get(proposal.definition.package) or await self._late(proposal.definition)
        signed = proposal.signed
        return await pool.call(signed.proposal, proposal.creator, signed.transient)

    def status(self) -> dict[str, dict[str, int]]:
        """Per chaincode and package what its pool does now."""
        return {f"{pool.name} {package[:12]}": pool.status() for package, pool in self._pools.items()}

    async def close(self) -> None:
        """End all hosts."""
        async with self._changing:
            pools = list(self._pools.values())
            self._pools.clear()
            await asyncio.gather(*(pool.close() for pool in pools))

    async def _late(self, definition: ChaincodeDefinition) -> HostPool:
        """The pool of a package that has none yet: it is just being started, or was missing, or failed to start."""
        package = definition.package
        known = self._reasons.get(package)
        if known is None or self._clock() >= known.until:
            async with self._changing:
                if package not in self._pools and self._reasons.get(package) is known:
                    await self._start(package, definition.name)
            known = self._reasons.get(package)
        pool = self._pools.get(package)
        if pool is not None:
            return pool
        raise (
            from_wire(known.error.status, known.error.to_dict())
            if known is not None
            else _not_installed(package, definition.name)
        )

    async def _start(self, package: str, name: str) -> None:
        self._reasons.pop(package, None)
        try:
            folder = await asyncio.to_thread(self._packages.folder, package)
            if folder is None:
                raise _not_installed(package, name)
            pool = HostPool(
                folder,
                self._ledgers,
                name=name,
                size=self._limits.processes,
                call_timeout_s=self._limits.call_timeout_s,
                memory_bytes=self._limits.memory_bytes,
                start_timeout_s=self._limits.start_timeout_s,
            )
            await pool.start()
        except (GridLedgerError, OSError) as error:
            known = error if isinstance(error, GridLedgerError) else ChaincodeUnavailable(f"its files: {error}")
            self._reasons[package] = _Reason(known, self._clock() + TRY_AGAIN_S)
            _log.error("chaincode %s cannot be started: %s", name, known.message)
        else:
            self._pools[package] = pool
            _log.info("chaincode %s is ready, package %s", name, package)


def _not_installed(package: str, name: str) -> ChaincodeNotInstalled:
    return ChaincodeNotInstalled(
        f"the package {package} of the chaincode {name} is not installed on this peer: "
        "an admin of its organisation posts it to /packages",
        package=package,
    )
