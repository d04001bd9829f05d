"""The model of scale: a discrete-event simulation of networks with costs fitted to a report (docs/scale.md)."""
