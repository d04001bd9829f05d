"""The demonstration and a stream, as a person starts them: real processes, the command line, the files they leave."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from gridledger.network.schema import load_network_config
from tests.support.local_network import LocalNetwork
from tests.support.network_configs import with_free_ports
from tests.support.processes import REPOSITORY, running

THREE_SHARDS = REPOSITORY / "network-config" / "three-shards.yaml"
PNG = b"\x89PNG"
SCENARIOS = {
    "published": {"base": [], "1a": [3], "1b": [4, 4], "2": [15, 15, 15], "3": [30]},
    "corrected": {"base": [], "1a": [3], "1b": [4], "2": [12], "3": [30], "starved": [6], "recovery": [3, 3, 3]},
}

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def feeder(*arguments: str) -> asyncio.subprocess.Process:
    """``python -m services.feeder`` with its output in a pipe."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.feeder", *arguments),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def said(process: asyncio.subprocess.Process, within_s: float) -> tuple[int, str]:
    """Exit code and output; fails the test when the process does not end in time."""
    try:
        async with asyncio.timeout(within_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.terminate()
        output, _ = await process.communicate()
        pytest.fail(f"the feeder did not end within {within_s} s:\n{output.decode()}")
    assert process.returncode is not None
    return process.returncode, output.decode()


def free_offset() -> str:
    """A --port-offset with all ports of three-shards free."""
    config = load_network_config(THREE_SHARDS)
    return str(with_free_ports(config).ca.port - config.ca.port)


@pytest.mark.deep
async def test_demonstration(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    arguments = ("--out", str(out), "--dir", str(tmp_path / "net"), "--port-offset", free_offset())
    code, output = await said(await feeder("demo", "--network", str(THREE_SHARDS), *arguments), within_s=240)
    assert code == 0, output
    assert "All scenarios met their expectations, all peers agree" in output
    assert "\x1b" not in output
    summary: dict[str, Any] = json.loads((out / "summary.json").read_bytes())
    assert summary.keys() == {"ready_s", "scenarios", "channels", "latency_ms"}
    assert summary["latency_ms"].keys() == {"p50", "p95", "p99"}
    for channel in summary["channels"].values():
        assert {(peer["height"], len(peer["commit_hash"])) for peer in channel["peers"].values()} == {
            (channel["height"], 64)
        }
        assert len({peer["commit_hash"] for peer in channel["peers"].values()}) == 1
    assert {name: len(channel["peers"]) for name, channel in summary["channels"].items()} == {
        "mainchain": 6,
        "shard1": 2,
        "shard2": 2,
        "shard3": 2,
    }
    check_scenarios(summary["scenarios"])
    for profile, scenarios in SCENARIOS.items():
        for name in scenarios:
            assert (out / f"{profile}-{name}.png").read_bytes().startswith(PNG)


def check_scenarios(runs: list[dict[str, Any]]) -> None:
    """Steps and sources of every scenario, and that all were cured."""
    fields = "name profile frames steps injections weak_bus v_before v_after vsi_before vsi_after cured"
    assert all(list(run) == fields.split() for run in runs)
    found = {(run["profile"], run["name"]): [item["bus"] for item in run["injections"]] for run in runs}
    assert found == {(profile, name): buses for profile, all_ in SCENARIOS.items() for name, buses in all_.items()}
    for run in runs:
        assert run["cured"]
        assert run["steps"] == sum(item["q_mvar"] > 0.0 for item in run["injections"])
        if run["name"] == "recovery":
            assert abs(sum(item["q_mvar"] for item in run["injections"])) < 1e-9
        assert all(len(item["tx_id"]) == 64 for item in run["injections"])
        if run["injections"]:
            assert run["v_after"] > run["v_before"]
            assert run["vsi_after"] > run["vsi_before"]
            assert run["profile"] == "published" or abs(run["v_after"] - 0.98) <= 0.02


@pytest.mark.deep
async def test_a_demonstration_told_to_stop_leaves_nothing_running(tmp_path: Path) -> None:
    config, offset, folder = load_network_config(THREE_SHARDS), free_offset(), tmp_path / "net"
    process = await feeder(
        *("demo", "--network", str(THREE_SHARDS), "--out", str(tmp_path / "out"), "--dir", str(folder)),
        *("--port-offset", offset),
    )
    assert process.stdout is not None
    async with asyncio.timeout(120):
        while b"ready" not in (line := await process.stdout.readline()):
            assert line, "the demonstration ended before its network was ready"
    process.send_signal(signal.SIGTERM)
    code, output = await said(process, within_s=40)
    assert code == 130, output
    assert "Traceback" not in output
    for node in (*config.orderers, *config.peers):
        with pytest.raises(OSError, match=r"."):
            await asyncio.open_connection("127.0.0.1", node.port + int(offset))
    assert running(str(folder)) == []


@pytest.mark.parametrize(("case", "groups"), [("case30", 3), pytest.param("case57", 4, marks=pytest.mark.deep)])
async def test_stream_closes_the_loop(network: LocalNetwork, tmp_path: Path, case: str, groups: int) -> None:
    """A load is raised until its bus is in need; the injection comes while the frames stream.

    All frames are valid but those that were superseded: where frames are on their way for longer than the 125 ms
    between them, an injection changes the list of their group, and a record made anew, as they are stale, the record.
    """
    report = tmp_path / "report.json"
    code, output = await said(
        await feeder(
            *("--case", case, "--scenario", "sag", "--rate", "8", "--seconds", "4"),
            *("--dir", str(network.folder.root), "--report", str(report)),
        ),
        within_s=120,
    )
    found = json.loads(report.read_bytes())
    assert code == 0, output
    assert "is still below" not in output
    assert found["all"]["faults"] == {}, output
    changed = {injection["group"] for injection in found["injections"]}
    changed |= {name for name, tally in found["groups"].items() if "stale" in tally["outcomes"]}
    assert {name for name, tally in found["groups"].items() if tally["superseded"]} <= changed
    assert found["all"]["sent"] == found["all"]["valid"] + found["all"]["superseded"] == groups * 32
    assert len(found["groups"]) == groups
    assert found["injections"]
    assert found["all"]["outcomes"]["injected"] == len(found["injections"])
    assert found["not_sent"] == 0


SCENARIO = """\
name: evening
title: bus 3 rises, a line trips, the meters are noisy
case: case30
vvc: {mvar: 150}
noise: {v: 0.0001, angle: 0.005, p: 0.01, q: 0.01}
seed: 7
rate: 8
duration: 6
events:
  - {at: 1, loads: {3: [52.8, 26.4]}}
  - {at: 3, outage: [14, 15]}
  - {at: 4, until: 5, scale: {group: 2, factor: 1.1}}
"""


async def test_a_scenario_file_runs_end_to_end(network: LocalNetwork, tmp_path: Path) -> None:
    """A step is answered, a line trips, a ramp and noise are measured; the run is recorded."""
    path, report, results = tmp_path / "evening.yaml", tmp_path / "report.json", tmp_path / "run"
    path.write_text(SCENARIO)
    arguments = ("--dir", str(network.folder.root), "--report", str(report), "--results", str(results))
    code, output = await said(await feeder("run", str(path), *arguments), within_s=120)
    assert code == 0, output
    assert "branch 14-15 trips" in output
    found = json.loads(report.read_bytes())
    assert found["all"]["faults"] == {}, output
    assert found["all"]["sent"] == 3 * 48
    assert found["all"]["valid"] + found["all"]["superseded"] == found["all"]["sent"]
    assert [injection["bus"] for injection in found["injections"]] == [3]
    run = json.loads((results / "run.json").read_bytes())
    assert (run["seed"], run["scenario"]["name"], run["interrupted"]) == (7, "evening", False)


async def test_a_stream_is_controlled_through_its_input(network: LocalNetwork, tmp_path: Path) -> None:
    path = tmp_path / "quiet.yaml"
    path.write_text(SCENARIO[: SCENARIO.index("noise")] + "rate: 8\nduration: 600\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.feeder", "run", str(path), "--control", "--dir", str(network.folder.root)),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    commands = {
        "load 3 52.8 26.4": "by hand: bus 3 at 52.8 + j26.4 MVA",
        "": "MVAr at bus 3 (transaction",
        "trip 14 15": "by hand: branch 14-15 trips",
        "trip 12 13": "error: ",
        "merge 3": "by hand: groups",
        "status": "out: branch 14-15",
        "quit": "by hand: the stream ends",
    }
    output = b""
    try:
        async with asyncio.timeout(60):
            while b"frames/s of each group" not in output:
                line = await process.stdout.readline()
                assert line, output.decode()
                output += line
            for command, wanted in commands.items():
                process.stdin.write(command.encode() + b"\n")
                while wanted not in (line := await process.stdout.readline()).decode():
                    assert line, f"{command}: {output.decode()}"
                    output += line
                output += line
            rest, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (output + rest).decode()
    assert "Traceback" not in (output + rest).decode()


async def test_a_network_that_does_not_run_is_told_in_one_line(tmp_path: Path) -> None:
    code, output = await said(await feeder("--dir", str(tmp_path)), within_s=30)
    assert code == 1
    assert output.startswith("error: there is no connection profile")
    assert len(output.splitlines()) == 1
