"""Fill the table of docs/architecture.md from the tree: each package, its docstring and the names of its modules.

python docs/build/make_architecture.py
"""

from __future__ import annotations

import ast
from pathlib import Path

from pages import fill

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
ORDER = (  # as light meets them, then what judges, trains and compares; a package that is not named comes last
    "core", "optics", "color", "exposure", "pixels", "sensor", "quantization", "sampling", "ultrasound", "restoration",
    "data", "problems", "metrics", "training", "saliency", "experiment", "testing",
)  # fmt: skip


def first_paragraph(path: Path) -> str:
    """First paragraph of a module's docstring on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`")


def modules(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def packages(root: Path) -> list[Path]:
    """Folders of physlayer in the order of the page, each followed by the packages inside it."""
    found = [path.parent for path in root.rglob("__init__.py") if path.parent != root]

    def place(folder: Path) -> tuple[int, str]:
        name = folder.relative_to(root).as_posix()
        top = name.split("/")[0]
        return ORDER.index(top) if top in ORDER else len(ORDER), name

    return sorted(found, key=place)


def package_table(root: Path) -> str:
    """One row per package of ``root/physlayer``, then those that are installed inside it."""
    rows = ["| package | what it holds | modules |", "|---|---|---|"]
    for folder in packages(root / "physlayer"):
        rows.append(row(folder, folder.relative_to(root).as_posix(), root))
    rows.append(row(root / "tasks", "tasks", root))
    names = sorted(path.parent.name for path in (root / "tasks").glob("*/__init__.py"))
    rows.append(f"| `tasks/<name>` | one task each: `TASK`, its embedded set and its loaders | {', '.join(names)} |")
    rows.append(row(root / "sweeps", "sweeps", root))
    return "\n".join(rows)


def row(folder: Path, shown: str, root: Path) -> str:
    names = ", ".join(modules(folder))
    link = f"[`{shown}`](../{folder.relative_to(root).as_posix()})"
    return f"| {link} | {first_paragraph(folder / '__init__.py').rstrip('.')} | {names} |"


if __name__ == "__main__":
    fill(DOCS / "architecture.md", {"packages": package_table(ROOT)})
