"""Secret sharing and erasure coding for the vault: pure functions, without I/O, clock or randomness of their own.

:mod:`~gridledger.sharing.profiles` is what services call: it splits data into shares and joins them again, by profile.
``article`` is the recursive scheme of Jia et al. (EJEE 22(2), 2020), ``shamir`` the yardstick, ``sealed`` (the default)
encrypts, erasure-codes and shares the key, ``copies`` replicates. :mod:`~gridledger.sharing.leak` tells what shares of
``article`` tell.
"""
