"""From a MATPOWER file to a figure: the voltages of a grid with and without control, on a running network."""

from __future__ import annotations

import sys

from gridledger.grid.case import load_case
from services.feeder.results.plot_command import compare
from services.feeder.study import Study

file, network, out = sys.argv[1:]
case = load_case(file)  # .m, .mat or .xlsx of MATPOWER, or a pandapower net as .json
study = Study(case, network=network, out=out, tell=print)
events = [{"at": 2, "loads": {4: [874.5, 321.8]}}]  # bus 4 of case39, at its limit: MW and MVAr

controlled = study.run("controlled", events, vvc_mvar=200.0, seconds=6)
uncontrolled = study.run("uncontrolled", events, vvc_mvar=0.0, seconds=6)

print(controlled.to_frame("actions")[["at_s", "weak_bus", "source_bus", "q_mvar"]])
for run in (controlled, uncontrolled):
    last = run.to_frame("buses").groupby("bus").last()
    print(f"{run.path.name}: lowest voltage {last['v_pu'].min():.4f} p.u. at bus {last['v_pu'].idxmin()}")
for path in compare(controlled, uncontrolled, f"{out}/voltages"):
    print(path)
