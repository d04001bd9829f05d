"""``gridledger vault join-holder``: a further holder asks to join a cluster."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from gridledger.cli.output import say, say_json
from gridledger.client import load_profile
from services.vault.commands.network_options import add_network, identity_of, opened
from services.vault.commands.options import new_parser, whole
from services.vault.commands.serve import connection
from services.vault.described import organisation_of, sensor_identity
from services.vault.ids import check_new_id
from services.vault.key_file import kem_key
from services.vault.session import open_session

_PORTS = 65536


def main(argv: list[str]) -> int:
    """Join as a holder; the exit code."""
    parser = new_parser(
        "join-holder",
        "Have a further holder join a cluster: enrol its identity, make its key, and ask the ledger. "
        "The base admits it (gridledger vault admit); it is active from the next cycle.",
        ("join-holder m1-infrared-3 --cluster M1 --id 106 --port 5216",),
    )
    parser.add_argument("holder", metavar="NAME", help="its name, such as m1-infrared-3")
    parser.add_argument("--cluster", required=True, metavar="NAME", help="which cluster")
    parser.add_argument("--id", dest="x", required=True, type=whole, metavar="ID", help="its id: a number below 2^64")
    parser.add_argument("--port", required=True, type=int, metavar="PORT", help="where its process listens")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="at which address (default: %(default)s)")
    parser.add_argument("--kem", choices=("x25519", "mlkem768-x25519"), default="x25519", help="the kind of its key")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="its folder (default: vault/CLUSTER-PORT in the network's)"
    )
    add_network(parser, "the holder itself, enrolled if need be")
    options = parser.parse_args(argv)
    if not 0 < options.port < _PORTS:
        parser.error(f"--port: from 1 to {_PORTS - 1}")
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
        return 0
    say(f"{options.holder} asked to join {options.cluster} with the id {options.x}. Start it:")
    say(
        f"  gridledger vault serve holders {options.holder}={options.x} --cluster {options.cluster} "
        f"--as {told['organisation']} --listen {options.host}:{options.port}"
    )
    say(f"and let the base admit it: gridledger vault admit {options.holder}, then gridledger vault cycle")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    profile = load_profile(options.directory)
    async with opened(options) as reading:
        cluster = await reading.ledger.get_cluster(options.cluster)
    check_new_id(options.x, int(cluster["t"]))
    organisation = organisation_of(profile, str(cluster["mspid"]))

    def enrol(_: object) -> Any:
        return sensor_identity(
            profile, organisation, options.holder, cluster=options.cluster, x=str(options.x), host=options.host
        )

    identity = await identity_of(options, profile, enrol)
    where = f"{options.cluster}-{options.port}"
    home = (options.data or connection(options.directory).parent / "vault" / where).resolve()
    (home / options.holder).mkdir(parents=True, exist_ok=True, mode=0o700)
    key = kem_key(home / options.holder / "kem_key", options.kem)
    url = f"https://{options.host}:{options.port}"
    async with open_session(profile, identity) as session:
        joined = await session.ledger.join(
            options.holder, options.cluster, str(options.x), key.public.text, f"{url}/holders/{options.holder}"
        )
    return {**joined, "organisation": organisation, "data": str(home)}
