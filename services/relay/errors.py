"""Errors of the relay's servers and commands."""

from __future__ import annotations

from gridledger.errors import InputError


class ArticleChainBad(InputError):
    """A file is no chain of the article's form, or one whose hashes, proofs or captures do not hold."""

    code = "BAD_ARTICLE_CHAIN"
