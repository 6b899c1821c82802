"""Fill docs/class_projects.md with the user's lines of the card tests, so that the page shows what is tested.

python docs/make_class_projects.py
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from pages import fill

DOCS = Path(__file__).resolve().parent
TESTS = DOCS.parent / "tests"
BEGIN, END = "# --- the user's lines\n", "# ---\n"


def user_lines() -> dict[str, str]:
    """The first part between the marks of each test named ``test_card_N_…``, by ``card_N``, with its place."""
    found = {}
    for path in sorted(TESTS.glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for name, body in re.findall(r"^def (test_card_\w+)\(.*?\n(.*?)(?=^\S|\Z)", text, re.S | re.M):
            if BEGIN in body:
                lines = textwrap.dedent(body.split(BEGIN, 1)[1].split(END, 1)[0].rstrip(" "))
                card = re.match(r"test_(card_\d+)", name)[1]
                found.setdefault(card, f"*`{name}` in `tests/{path.name}`:*\n\n```python\n{lines}```")
    return found


if __name__ == "__main__":
    fill(DOCS / "class_projects.md", user_lines())
