"""The grid without I/O: cases, admittances, power flow, groups, impedances, records and frames (extra `feeder`)."""
