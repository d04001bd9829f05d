"""The base as a service: it settles, abandons what stays incomplete, audits and repairs."""
