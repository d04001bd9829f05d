"""The page that the model's results are written into."""

from __future__ import annotations

import pytest

from benchmarks.model import markdown
from gridledger.errors import InputError


def test_the_page_keeps_all_that_is_not_between_the_markers(tmp_path):
    path = tmp_path / "scale.md"
    path.write_text(f"before\n{markdown.BEGIN}\nold\n{markdown.END}\nafter\n", encoding="utf-8")
    markdown.rewrite(path, "new")
    assert path.read_text(encoding="utf-8") == f"before\n{markdown.BEGIN}\n\nnew\n\n{markdown.END}\nafter\n"
    path.write_text("no markers", encoding="utf-8")
    with pytest.raises(InputError, match="lacks the lines"):
        markdown.rewrite(path, "new")
