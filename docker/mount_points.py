"""Prints the folders at which the containers of network configs mount volumes: the image must have them."""

from __future__ import annotations

import sys
from pathlib import Path

from gridledger.network.compose import mount_points
from gridledger.network.schema import load_network_config

for path in sys.argv[1:]:
    for place in mount_points(load_network_config(Path(path))):
        sys.stdout.write(f"{place}\n")
