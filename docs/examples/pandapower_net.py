"""A pandapower net in the closed loop, on a running network: a load is raised until the ledger must answer."""

from __future__ import annotations

import sys

import pandapower.networks

from gridledger.grid.case import case_of_net
from services.feeder.study import Study

network, out = sys.argv[1:]
net = pandapower.networks.case24_ieee_rts()  # or a net of your own
net.load[["p_mw", "q_mvar"]] *= 1.02
study = Study(case_of_net(net), network=network, out=out, tell=print)
run = study.run("pandapower", [{"at": 2, "sag": {}}], seconds=6)
print(run.to_frame("actions")[["at_s", "weak_bus", "source_bus", "q_mvar"]])
