"""A network that ``gridledger up --detach`` started, changed by commands and followed as it changes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gridledger import jsontext
from gridledger.client.profile import load_profile
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork


class DetachedNetwork(LocalNetwork):
    """A network whose supervisor is a process of its own, so that commands may end and start it."""

    def follow(self) -> None:
        """Know the network as it now is."""
        self.profile = load_profile(self.folder.root)
        self.roots = self.profile.roots.read_text(encoding="ascii")

    async def command(self, *arguments: str, timeout_s: float = 300) -> str:
        """Carry out a command on the network's folder; what it said. It must succeed."""
        place = ("--dir", str(self.folder.root))
        done = await asyncio.to_thread(gridledger, *arguments, *place, timeout_s=timeout_s)
        assert done.returncode == 0, f"{arguments}: {done.stderr}\n{done.stdout}"
        self.follow()
        return done.stdout


@contextmanager
def detached_network(config: NetworkConfig, place: Path) -> Iterator[DetachedNetwork]:
    """A started network below ``place``, stopped at the end."""
    description, folder = place / "network.yaml", place / "network"
    description.write_bytes(jsontext.dumps(config.model_dump(mode="json")))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="enrolment", daemon=True)
    thread.start()
    try:
        up = gridledger("up", description, "--dir", folder, "--detach", timeout_s=180)
        assert up.returncode == 0, up.stderr
        yield DetachedNetwork(config, NetworkFolder(folder.resolve()), loop)
    finally:
        gridledger("down", "--dir", folder)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
