"""The console beside the feeder: ``python -m benchmarks.console --rate 10 --seconds 30 --pairs 3``.

Starts three-shards, and the feeder again and again: without the console, and with it while 20 clients read its event
stream, one of them the Grid page in Chromium. It tells

- how long after the login the first frame is drawn;
- from event to screen: from when a stream of this program's own gives a block with a frame, to the moment after the tab
  has painted a picture of that frame or of a later one;
- the console's memory and processor time while all read, and its event streams to the network;
- the feeder's latency with and without the console, in alternation, as a ratio.

Chromium comes from the system (GRIDLEDGER_CHROMIUM, or chromium on the path), Playwright with the extra ``dev``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp
import psutil
from playwright.async_api import Page, async_playwright

from benchmarks.load.bench_network import BenchNetwork, running_bench_network
from benchmarks.measure.results import percentile
from gridledger import jsontext
from gridledger.client import SigningIdentity, connect
from gridledger.command_line import EXIT_FAILED
from gridledger.errors import SettingsError, UnavailableError
from gridledger.machine import machine
from services.console.grid.reading import read_block
from services.console.grid.told import FrameTold

OBSERVER: Final = "ControlRoom"
CLIENTS: Final = 20
BARS: Final = {"first_frame_s": 2.0, "screen_p99_ms": 500.0, "rss_mb": 150.0, "cores": 0.3, "latency_ratio": 1.1}
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
_LOGIN: Final = re.compile(r"(http://([0-9a-f]+\.localhost):(\d+))/login\?t=(\S+)")
_WATCH: Final = """() => {
  window.painted = [];
  document.body.addEventListener("live:grid", (event) => {
    const message = event.detail.message;
    requestAnimationFrame(() => setTimeout(() => {
      window.painted.push([message.channel, message.group, message.time_us, Date.now()]);
    }, 0));
  });
}"""
_STARTS_WITHIN_S: Final = 60.0


class Console:
    """A console's process, and a session of it."""

    def __init__(self, process: asyncio.subprocess.Process, origin: str, name: str, port: int, token: str) -> None:
        self.process = process
        self.origin = origin
        self.name = name
        self.port = port
        self.token = token
        self.base = f"http://127.0.0.1:{port}"
        self.headers = {"Host": f"{name}:{port}"}

    async def health(self) -> dict[str, Any]:
        """What it says of itself."""
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{self.base}/healthz", headers=self.headers) as answer,
        ):
            return dict(jsontext.loads(await answer.read()))


@asynccontextmanager
async def running_console(network: BenchNetwork) -> AsyncIterator[Console]:
    """``gridledger console`` as the observer, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.console", "--dir", str(network.root), "--no-browser"),
        *("--user", f"{OBSERVER}/admin"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        async with asyncio.timeout(_STARTS_WITHIN_S):
            async for line in process.stdout:
                if (found := _LOGIN.search(line.decode())) is not None:
                    yield Console(process, found[1], found[2], int(found[3]), found[4])
                    return
        raise UnavailableError("the console ended before it could be used")
    finally:
        process.terminate()
        await process.wait()


async def read_stream(console: Console, cookies: Mapping[str, str]) -> None:
    """One client of the event stream that reads it and does no more, until it is cancelled."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as client,
        client.get(
            f"{console.base}/live",
            headers={**console.headers, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
        ) as answer,
    ):
        if answer.status != 200:  # noqa: PLR2004
            raise UnavailableError(f"the console's stream answers {answer.status}")
        async for _ in answer.content.iter_any():
            pass


class Frames:
    """When this program's own stream gave each frame: by channel and group, (the frame's time, seconds since 1970)."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], list[tuple[int, float]]] = {}
        self.first = asyncio.Event()

    async def follow(self, network: BenchNetwork, identity: SigningIdentity) -> None:
        """Follow every channel, until this is cancelled."""
        async with await connect(network.profile, identity=identity) as gateway, asyncio.TaskGroup() as tasks:
            for channel in network.profile.channels:
                tasks.create_task(self._follow(gateway.get_network(channel), channel))

    async def _follow(self, place: Any, channel: str) -> None:
        async for event in place.full_block_events():
            now = time.time()
            for told in read_block(event).told:
                if isinstance(told, FrameTold):
                    self.seen.setdefault((channel, told.group), []).append((told.time_us, now))
                    self.first.set()

    def delays_ms(self, painted: list[list[Any]]) -> list[float]:
        """From a frame's event to the first picture of it or of a later one, in milliseconds."""
        shown: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for channel, group, time_us, at_ms in painted:
            if time_us is not None:
                shown.setdefault((channel, group), []).append((time_us, at_ms))
        delays = []
        for key, pictures in shown.items():
            begin, end = pictures[0][0], pictures[-1][0]
            for time_us, seen_s in self.seen.get(key, []):
                if begin < time_us <= end:
                    at_ms = min(at for picture_us, at in pictures if picture_us >= time_us)
                    delays.append(at_ms - seen_s * 1000)
        return sorted(delays)


async def feed(network: BenchNetwork, options: argparse.Namespace, report: Path) -> float:
    """Run the feeder once; the median of its latency from the intended send time to the durable commit, ms."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.feeder", "--dir", str(network.root), "--rate", str(options.rate)),
        *("--seconds", str(options.seconds), "--report", str(report)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if code := await process.wait():
        raise UnavailableError(f"the feeder ended with {code}")
    latency = latency_of(report)
    print(f"  feeder: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms", flush=True)
    return float(latency["p50"])


def latency_of(report: Path) -> dict[str, float]:
    """The latencies of all groups together in a feeder's report, ms."""
    return dict(json.loads(report.read_text(encoding="utf-8"))["all"]["latency_ms"])


async def log_in(page: Page, console: Console) -> float:
    """Log in as a person does; seconds until the Grid page has drawn a frame."""
    await page.goto(f"{console.origin}/login?t={console.token}")
    await page.get_by_role("button", name="Log in").click(no_wait_after=True)
    began = time.monotonic()
    await page.locator("#one-line .bus .value").filter(has_text=re.compile(r"\d")).first.wait_for(state="attached")
    return time.monotonic() - began


async def beside_clients(
    network: BenchNetwork, options: argparse.Namespace, console: Console, out: Path
) -> dict[str, Any]:
    """Feed while all clients read; what was seen."""
    chromium = os.environ.get("GRIDLEDGER_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SettingsError("there is no Chromium: apt-get install chromium, or set GRIDLEDGER_CHROMIUM")
    frames, identity = Frames(), SigningIdentity.load(network.profile.user(OBSERVER, "admin"))
    async with async_playwright() as playwright, asyncio.TaskGroup() as tasks:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        context = await browser.new_context(viewport={"width": 1400, "height": 900})
        page = await context.new_page()
        readers = [tasks.create_task(frames.follow(network, identity))]
        feeding = tasks.create_task(feed(network, options, out))
        await frames.first.wait()
        first_s = await log_in(page, console)
        cookies = {item["name"]: item["value"] for item in await context.cookies()}
        readers += [tasks.create_task(read_stream(console, cookies)) for _ in range(CLIENTS - 1)]
        await page.evaluate(_WATCH)
        process = psutil.Process(console.process.pid)
        before, began = process.cpu_times(), time.monotonic()
        latency_ms = await feeding
        used, lasted_s = process.cpu_times(), time.monotonic() - began
        health, rss_mb = await console.health(), process.memory_info().rss / 1e6
        delays = frames.delays_ms(await page.evaluate("() => window.painted"))
        for reader in readers:
            reader.cancel()
        await browser.close()
    return {
        "first_frame_s": round(first_s, 2),
        "frames": len(delays),
        "screen_p50_ms": round(percentile(delays, 0.5), 1),
        "screen_p99_ms": round(percentile(delays, 0.99), 1),
        "rss_mb": round(rss_mb, 1),
        "cores": round((used.user + used.system - before.user - before.system) / lasted_s, 3),
        "streams": health["streams"],
        "browsers": health["browsers"],
        "latency_ms": latency_ms,
    }


async def run(options: argparse.Namespace) -> int:
    """Measure in alternation, print, and write the report."""
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    async with running_bench_network("three-shards", out / "network", port_offset=options.port_offset) as network:
        await feed(network, options, out / "warmup.json")
        rows, ratios = [], []
        for pair in range(options.pairs):
            async with running_console(network) as console:
                row = await beside_clients(network, options, console, out / f"with-{pair}.json")
            alone_ms = await feed(network, options, out / f"without-{pair}.json")
            rows.append({**row, "latency_alone_ms": alone_ms})
            ratios.append(row["latency_ms"] / alone_ms)
            print(json.dumps(rows[-1]), flush=True)
    found = {
        "first_frame_s": max(row["first_frame_s"] for row in rows),
        "screen_p99_ms": max(row["screen_p99_ms"] for row in rows),
        "rss_mb": max(row["rss_mb"] for row in rows),
        "cores": max(row["cores"] for row in rows),
        "latency_ratio": round(median(ratios), 3),
    }
    report = {
        **machine(),
        "clients": CLIENTS,
        "rate_per_group": options.rate,
        "seconds": options.seconds,
        "rows": rows,
        "found": found,
        "bars": BARS,
    }
    (out / "console.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, value in found.items():
        print(f"{name:<16} {value:>8} (bar {BARS[name]:g})", flush=True)
    return 0 if all(found[name] < bar for name, bar in BARS.items()) else EXIT_FAILED


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--rate", type=float, default=10.0, help="frames per second of each of the three groups")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each run of the feeder lasts")
    parser.add_argument("--pairs", type=int, default=3, help="runs with the console, each beside one without")
    parser.add_argument("--port-offset", type=int, default=11_000)
    parser.add_argument("--out", type=Path, default=Path("out/console"))
    return asyncio.run(run(parser.parse_args()))
