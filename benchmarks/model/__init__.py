"""Scale on paper: a discrete-event model of a network, its costs taken from a benchmark's report (docs/scale.md)."""
