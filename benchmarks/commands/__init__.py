"""The commands that a user starts, each as ``python -m benchmarks.commands.NAME``."""
