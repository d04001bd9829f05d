"""Measurement: the machine, its processes, and what a load did in the time measured."""
