"""Makes the formulas of the built site MathML, which browsers show by themselves: no script is loaded from anywhere.

The pages have TeX between dollar signs; the site generator leaves it as ``\\(...\\)`` in elements of class arithmatex.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)


def with_mathml(page: str) -> str:
    """The page with each formula as MathML; raises ValueError where one is left that is no TeX."""

    def formula(found: re.Match[str]) -> str:
        tex = html.unescape(found[3]).strip()
        display = "inline" if found[2] == "(" else "block"
        math = convert(tex, display=display)
        return math.replace("<math ", f'<math alttext="{html.escape(tex)}" ', 1)

    made = _FORMULA.sub(formula, page)
    if 'class="arithmatex"' in made:
        raise ValueError("a formula has a form that is not known")
    return made


def main(site: Path) -> int:
    """Rewrite the pages of a built site that have formulas; how many is told."""
    pages = 0
    for path in sorted(site.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        if 'class="arithmatex"' in text:
            path.write_text(with_mathml(text), encoding="utf-8")
            pages += 1
    print(f"formulas of {pages} pages are MathML")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
