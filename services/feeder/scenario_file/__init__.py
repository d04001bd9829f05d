"""Scenario files: a grid, its groups, and what happens to it over time, in YAML."""
