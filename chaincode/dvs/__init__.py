"""Distributed voltage stability: the chaincode that watches groups of buses and answers a sag with reactive power."""
