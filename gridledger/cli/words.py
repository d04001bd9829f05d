"""The words of a command line whose arguments may look like options: ``gridledger invoke c cc f -5``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from typer.core import TyperCommand


class ArgumentsCommand(TyperCommand):
    """A command of which only words that begin with ``--`` are options: ``-5`` and ``-`` are arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See :func:`options_first`."""
        takes_value = {name: not getattr(item, "is_flag", False) for item in self.params for name in item.opts}
        return super().parse_args(ctx, options_first(args, takes_value))


def options_first(words: Iterable[str], takes_value: Mapping[str, bool]) -> list[str]:
    """The same words: options with their values, then ``--``, then the arguments in their order.

    What follows a ``--`` is arguments. An option that is not in ``takes_value`` is left for the parser to refuse.
    """
    options: list[str] = []
    arguments: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            arguments.extend(rest)
        elif word.startswith("--"):
            options.append(word)
            if takes_value.get(word):
                options.extend(islice(rest, 1))
        else:
            arguments.append(word)
    return [*options, "--", *arguments]
