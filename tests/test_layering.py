"""Who may import whom, imports inside functions included: light flows one way, and so do imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = {  # the stages of the imaging chain, side by side; each with the stages that it may look at
    "optics": set(),
    "color": set(),
    "exposure": set(),
    "pixels": set(),
    "sensor": {"quantization"},
    "quantization": set(),
    "sampling": set(),
    "ultrasound": {"sampling"},
    "restoration": set(),
}
MAY = {  # package: the packages that it may import, its own besides
    "core": set(),
    **{stage: {"core"} | others for stage, others in STAGES.items()},
    "metrics": set(),
    "problems": {"core", "metrics"},
    "data": {"core", "problems", "color.srgb"},
    "training": {"core", "color.srgb", "data", "problems"},
    "saliency": {"core", "color.srgb", "data", "problems"},
    "testing": {"core", *STAGES},
}
LIBRARY = set(MAY) - {"testing"}
MAY["tasks"] = set(LIBRARY)
MAY["experiment"] = LIBRARY | {"tasks"}
MAY["sweeps"] = {"", "experiment", "tasks"} | LIBRARY
MAY[""] = {"experiment", "testing"} | LIBRARY  # physlayer/__init__.py gathers the public names


def modules(root: Path) -> dict[str, Path]:
    """Every module by its dotted name inside physlayer, ``""`` for physlayer itself."""
    found = {}
    for folder, prefix in (("physlayer", ""), ("tasks", "tasks"), ("sweeps", "sweeps")):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            name = ".".join(([prefix] if prefix else []) + [part for part in parts if part != "__init__"])
            found[name] = path
    return found


def imports(path: Path, known: set[str]) -> set[str]:
    """Modules of physlayer that a file imports anywhere, as dotted names inside physlayer."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide where a name comes from"
            # a name of a package may be a module of it, and is then what is imported
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if inside(name) in known else node.module for name in names]
        else:
            continue
        found |= {inside(name) for name in names if name.split(".")[0] == "physlayer"}
        top = {name.split(".")[0] for name in names}
        assert not top & {"tasks", "sweeps"}, f"{path} imports a top-level {top}; write physlayer.tasks"
    return found


def inside(name: str) -> str:
    return name.removeprefix("physlayer").removeprefix(".")


def package(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def upward(root: Path) -> list[str]:
    """A sentence for every import that the table above does not allow."""
    known = modules(root)
    wrong = []
    for name, path in known.items():
        own = package(name)
        for other in sorted(imports(path, set(known))):
            allowed = MAY[own] | {own}
            if package(other) not in allowed and not any(
                other == entry or other.startswith(f"{entry}.") for entry in allowed if "." in entry
            ):
                wrong.append(f"{name or 'physlayer'} imports {other or 'physlayer'}")
            if own == package(other) == "tasks" and crosses(name, other, root):
                wrong.append(f"{name} imports {other}, another task")
    return wrong


def crosses(name: str, other: str, root: Path) -> bool:
    """Whether one task imports another; digits_128 and ultrasound_field extend one, what tasks share is no task."""
    tasks = {path.parent.name for path in (root / "tasks").glob("*/__init__.py") if "TASK = " in path.read_text()}
    own, others = (entry.split(".")[1] if "." in entry else "" for entry in (name, other))
    extends = {("digits_128", "digits"), ("ultrasound_field", "ultrasound")}
    return own in tasks and others in tasks and own != others and (own, others) not in extends


def cycles(root: Path) -> list[list[str]]:
    """Circles of modules, by Tarjan's strongly connected components."""
    known = modules(root)
    # a package's own __init__ gathers its modules; that they find it when they are imported is no circle
    graph = {name: imports(path, set(known)) & set(known) - {name} for name, path in known.items()}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            circle = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def test_nothing_imports_upwards():
    assert not upward(ROOT)


def test_no_modules_import_each_other_in_a_circle():
    assert not cycles(ROOT)


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("physlayer/core/camera.py", "from physlayer.optics.blur import Blur", "core.camera imports optics.blur"),
        ("physlayer/sensor/quanta.py", "def f():\n    import physlayer.experiment.cli",
         "sensor.quanta imports experiment.cli"),
        ("physlayer/metrics/regression.py", "from physlayer import BitDepth", "metrics.regression imports physlayer"),
        ("tasks/digits/idx.py", "from physlayer.tasks.elevation import TASK",
         "tasks.digits.idx imports tasks.elevation, another task"),
    ],
)  # fmt: skip
def test_a_planted_upward_import_is_seen(tmp_path, file, line, told):
    for folder in ("physlayer", "tasks", "sweeps"):
        for path in (ROOT / folder).rglob("*.py"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    before = upward(tmp_path)
    with open(tmp_path / file, "a", encoding="utf-8") as planted:
        planted.write(f"\n{line}\n")
    assert [entry for entry in upward(tmp_path) if entry not in before] == [told]


def test_a_planted_circle_is_seen(tmp_path):
    for name, line in (("one", "import physlayer.core.two"), ("two", "def f():\n    import physlayer.core.one")):
        (tmp_path / "physlayer" / "core").mkdir(parents=True, exist_ok=True)
        (tmp_path / "physlayer" / "core" / f"{name}.py").write_text(line)
    assert cycles(tmp_path) == [["core.one", "core.two"]]
