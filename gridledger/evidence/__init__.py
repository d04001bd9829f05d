"""Evidence of what devices said: pure functions, without I/O, clock or randomness of their own.

:mod:`~gridledger.evidence.events` has the texts that devices prove, :mod:`~gridledger.evidence.schnorr` the proofs,
:mod:`~gridledger.evidence.bloom` the filter of registered devices, :mod:`~gridledger.evidence.anchor` the tree over a
channel's blocks whose heads another channel keeps.

An evidence package (:mod:`~gridledger.evidence.package`) holds what it takes to verify transactions offline
(:mod:`~gridledger.evidence.verification`); :mod:`~gridledger.evidence.assembling` says what belongs into one.
"""
