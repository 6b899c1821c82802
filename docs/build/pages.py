"""Fill the generated parts of a page."""

from __future__ import annotations

import re
from pathlib import Path


def fill(page: Path, parts: dict[str, str]) -> None:
    """Replace what stands between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``, and say what was written."""
    text = page.read_text(encoding="utf-8")
    for name, body in parts.items():
        pattern = rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)"
        text, count = re.subn(pattern, lambda found, body=body: found[1] + body + "\n" + found[2], text, flags=re.S)
        print(f"{name}: {'written' if count else 'no place in the page'}")
    page.write_text(text, encoding="utf-8")
