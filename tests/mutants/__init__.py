"""Deliberate mistakes in the code that must not be wrong, and whether the tests see them: ``make mutants``.

Half of the mistakes are written by hand, each breaks an invariant that it names; the other half is drawn, by the
operators of cosmic-ray, from a stated seed. Each is made in a copy of the tree, one at a time, and the tests of what it
touches run.
"""
