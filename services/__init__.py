"""The services: one folder each, started as ``python -m services.NAME``."""
