"""Benchmarks of relay monitoring: update times by servers, by length, by period, and over half an hour."""
