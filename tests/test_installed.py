"""The wheel by itself, in a folder whose own tasks and sweeps must change nothing."""

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shutil import copy, copytree, ignore_patterns, which

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("physlayer", "tasks", "sweeps")
SETUPTOOLS = 77  # what pyproject.toml asks for
TINY = ("--seeds", "1", "--epochs", "1", "--variants", "fixed", "--no-report")

WAYS = {"mine": "mine", "filed": "work/statistics.py", "packed": "packed"}  # name of a task: what --task is given

OWN_SWEEP = """
import sys

from physlayer import BitDepth
from physlayer.experiment import Sweep, Variant, main
from physlayer.sweeps import resolution
from physlayer.tasks import register


def camera(point):
    return [BitDepth(int(point.value), gain=GAIN)]


def bare(point):
    return []


GAIN = 0.5
SWEEP = Sweep(
    name="dim", parameter="bits", axis="bits per pixel", minimum=1, maximum=8, default="1,8",
    variants=(Variant("fixed", "half the light", camera), Variant("none", "no layer", bare, swept=False)),
    chosen=("fixed",), task="mine",
)

if __name__ == "__main__":
    register(Mine())
    for task in sys.argv[1].split(","):
        for sweep, values in ((SWEEP, "--bits=1,8"), (resolution.SWEEP, "--factors=1,8")):
            if failed := main(sweep, "", ["--task", task, values, *sys.argv[2:]]):
                sys.exit(failed)
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this tree, built from a copy: what an earlier build left behind is not in it."""
    try:
        found = int(version("setuptools").split(".")[0])
    except PackageNotFoundError:
        found = 0
    if found < SETUPTOOLS or find_spec("pip") is None:
        pytest.skip(f"no wheel can be built here: it needs pip and setuptools {SETUPTOOLS} or newer")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        copytree(ROOT / folder, source / folder, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        copy(ROOT / name, source)
    pip("wheel", "--no-build-isolation", "--wheel-dir", out, source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder that holds the installed wheel and nothing else, in somebody else's repository."""
    project = tmp_path_factory.mktemp("project")
    if which("git"):
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
        for command in (["init", "--quiet"], [*who, "commit", "--quiet", "--allow-empty", "--message=theirs"]):
            subprocess.run(["git", "-C", str(project), *command], check=True)
    target = project / "site"
    pip("install", "--target", target, wheel)
    return target


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory) -> Path:
    """A working folder with modules that must never be imported."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "tasks").mkdir()
    for name in ("tasks.py", "sweeps.py", "tasks/__init__.py"):
        (folder / name).write_text(f"raise RuntimeError('{name} of the user was imported')\n")
    return folder


@pytest.fixture(scope="session")
def swept(installed, elsewhere, own_task_code, tmp_path_factory) -> Path:
    """Where a script of the user's has sent a task of each way through two sweeps, two runs at a time.

    One script for all: what takes long is that each process imports torch.
    """
    (elsewhere / "dim.py").write_text(own_task_code + OWN_SWEEP, encoding="utf-8")
    (elsewhere / "work").mkdir()
    filed = own_task_code.replace('"mine"', '"filed"')
    (elsewhere / "work" / "statistics.py").write_text(filed, encoding="utf-8")
    plugin = tmp_path_factory.mktemp("plugin")
    packed = own_task_code.replace('"mine"', '"packed"')
    (plugin / "my_fields.py").write_text(packed, encoding="utf-8")
    information = plugin / "my_fields-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my_fields\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[physlayer.tasks]\npacked = my_fields:TASK\n")
    run(["dim.py", ",".join(WAYS.values()), "--jobs", "2", *TINY], elsewhere, installed, plugin)
    return elsewhere


def pip(command: str, *arguments: str | Path) -> None:
    given = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run([sys.executable, "-m", "pip", command, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run(arguments: list[str | Path], folder: Path, *paths: Path) -> str:
    """Run Python in a folder with the wheel, which comes before an editable install; returns what it printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(folder: Path, sweep: str) -> list[dict]:
    paths = (folder / "runs" / sweep / "records").glob("*.json")
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def test_the_wheel_holds_all_of_the_tree_under_one_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"physlayer"}
    expected = set()
    for folder in FOLDERS:
        place = "physlayer" if folder == "physlayer" else f"physlayer/{folder}"
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        expected |= {f"{place}/{path.relative_to(ROOT / folder).as_posix()}" for path in files}
    assert names == expected  # modules, the table of sources, templates
    assert {"physlayer/tasks/blood_cells/groups.csv.gz", "physlayer/sweeps/bit_depth.py"} <= names


def test_a_sweep_runs_from_the_wheel(installed, elsewhere):
    where = run(["-c", "import importlib.util as u; print(u.find_spec('physlayer').origin)"], elsewhere, installed)
    assert Path(where.strip()) == installed / "physlayer" / "__init__.py"
    sweep = ["-m", "physlayer.sweeps.bit_depth", "--bits", "1,8", "--fast", "--jobs", "1"]
    run([*sweep, *TINY], elsewhere, installed)
    found = records(elsewhere, "bit_depth")
    assert [record["task"] for record in found] == ["blood_cells"] * 3
    assert {record["provenance"]["commit"] for record in found} == {"unknown"}  # not that of the repository around


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("sweep", ["dim", "resolution"])
def test_a_task_of_ones_own_goes_through_a_sweep(sweep, name, swept):
    found = [record for record in records(swept, sweep) if record["task"] == name]
    assert len(found) == 3  # no layer, and two values
