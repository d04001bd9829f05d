"""Errors of the relay's servers and commands."""

from __future__ import annotations

from gridledger.errors import InputError, LimitError


class ArticleChainBad(InputError):
    """A file is no chain of the article's form, or one whose hashes, proofs or captures do not hold."""

    code = "BAD_ARTICLE_CHAIN"


class SpoolFull(LimitError):
    """A relay's spool takes no further capture; what it has is kept."""

    code = "SPOOL_FULL"


class FaultRecordBad(InputError):
    """A file is no COMTRADE record that can be read."""

    code = "BAD_FAULT_RECORD"
