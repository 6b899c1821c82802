"""Fill docs/class_projects.md from the card tests: the user's lines, and all that they need to run as they stand.

python docs/build/make_class_projects.py
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from pathlib import Path

from pages import fill

DOCS = Path(__file__).resolve().parents[1]
TESTS = DOCS.parent / "tests"
BEGIN, END = "# --- the user's lines\n", "# ---\n"


def cards() -> dict[str, tuple[str, str, str]]:
    """``(place, what stands before, the user's lines)`` of each ``test_card_N_…`` with marks, by ``card_N``."""
    found = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for function in ast.parse(text).body:
            if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_card_"):
                continue
            body = ast.get_source_segment(text, function).split(":\n", 1)[1]
            if BEGIN not in body:
                continue
            before, rest = body.split(BEGIN, 1)
            lines = textwrap.dedent(rest.split(END, 1)[0].rstrip(" "))
            text_of_test = textwrap.dedent(before.rstrip(" "))
            text_of_test = re.sub(r'\A"""(?s:.*?)"""\n', "", text_of_test)  # what the test says of itself
            before = parameters(function) + text_of_test
            place = f"`{function.name}` in `{path.relative_to(DOCS.parent).as_posix()}`"
            card = re.match(r"test_(card_\d+)", function.name)[1]
            found.setdefault(card, (place, standing_before(text, before, lines), lines))
    return found


def parameters(function: ast.FunctionDef) -> str:
    """The first value of each parametrized argument, as an assignment."""
    lines = ""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "attr", "") == "parametrize":
            name, values = decorator.args
            lines += f"{ast.literal_eval(name)} = {ast.unparse(values.elts[0])}\n"
    return lines


def standing_before(module: str, before: str, lines: str) -> str:
    """Imports, constants and functions of the test module that the lines need, in the module's order."""
    statements, wanted = ast.parse(module).body, names_in(before + lines)
    chosen: dict[int, str] = {}
    while True:
        more = {}
        for place, statement in enumerate(statements):
            defined = defined_by(statement) & wanted
            if defined and place not in chosen:
                more[place] = shown(module, statement, wanted)
                if not isinstance(statement, ast.Import | ast.ImportFrom):
                    wanted = wanted | names_in(more[place])
        if not more:
            break
        chosen |= more
    # an import may hold more of what was asked for later
    for place in chosen:
        chosen[place] = shown(module, statements[place], wanted)
    text, before_last = "", None
    for place in sorted(chosen):
        kind = type(statements[place]).__name__.removesuffix("From")
        if text:
            lines_between = 3 if "FunctionDef" in (kind, before_last) else 1 if kind == before_last else 2
            text += "\n" * lines_between
        text, before_last = text + chosen[place], kind
    return text + "\n" * (3 if before_last == "FunctionDef" else 2) + before


def names_in(code: str) -> set[str]:
    found = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    return found - set(dir(builtins))


def defined_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign):
        return {node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return {statement.name} if isinstance(statement, ast.FunctionDef | ast.ClassDef) else set()


def shown(module: str, statement: ast.stmt, wanted: set[str]) -> str:
    """The source of a statement; of an import only the names that are wanted."""
    if isinstance(statement, ast.ImportFrom):
        kept = [a for a in statement.names if (a.asname or a.name) in wanted]
        return ast.unparse(ast.ImportFrom(statement.module, kept, statement.level))
    return ast.get_source_segment(module, statement)


def blocks() -> dict[str, str]:
    return {card: block(*parts) for card, parts in cards().items()}


def block(place: str, before: str, lines: str) -> str:
    return (
        f"*{place}:*\n\n```python\n{lines}```\n\n<details><summary>What stands before these lines</summary>\n\n"
        f"```python\n{before}```\n\n</details>"
    )


if __name__ == "__main__":
    fill(DOCS / "class_projects.md", blocks())
