"""The wheel by itself, in a folder whose own tasks and sweeps must change nothing."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("physlayer", "tasks", "sweeps")
SETUPTOOLS = 77  # what pyproject.toml asks for
TINY = ("--seeds", "1", "--epochs", "1", "--variants", "fixed", "--no-report")

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
    name="dim_bits", parameter="bits", axis="bits per pixel", minimum=1, maximum=8, default="1,8", task="mine",
    variants=(Variant("fixed", "half gain", camera), Variant("none", "no layer", bare, swept=False)),
    chosen=("fixed",),
)

if __name__ == "__main__":
    register(Mine())
    failed = main(SWEEP, "Bits in half the light.")
    sys.exit(failed or main(resolution.SWEEP, "", ["--task", "mine", "--factors", "1,8", *sys.argv[1:]]))
"""

BOTH = """
import sys

from physlayer.experiment import main
from physlayer.sweeps import bit_depth, resolution

for sweep in (bit_depth.SWEEP, resolution.SWEEP):
    if failed := main(sweep, "", [f"--{sweep.parameter}", "1,8", *sys.argv[1:]]):
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
    """A folder that holds the installed wheel and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--target", target, wheel)
    return target


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A working folder with modules that must never be imported."""
    (tmp_path / "tasks").mkdir()
    for name in ("tasks.py", "sweeps.py", "tasks/__init__.py"):
        (tmp_path / name).write_text(f"raise RuntimeError('{name} of the user was imported')\n")
    return tmp_path


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


def records(folder: Path, sweep: str) -> int:
    return len(list((folder / "runs" / sweep / "records").glob("*.json")))


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
    assert records(elsewhere, "bit_depth") == 3


def test_a_task_of_a_file_goes_through_sweeps(installed, elsewhere, own_task_code):
    (elsewhere / "work").mkdir()
    (elsewhere / "work" / "statistics.py").write_text(own_task_code, encoding="utf-8")
    (elsewhere / "both.py").write_text(BOTH)
    run(["both.py", "--task", "work/statistics.py", "--jobs", "2", *TINY], elsewhere, installed)
    assert records(elsewhere, "bit_depth") == records(elsewhere, "resolution") == 3


def test_a_registered_task_goes_through_a_sweep_of_ones_own_and_another(installed, elsewhere, own_task_code):
    (elsewhere / "dim.py").write_text(own_task_code + OWN_SWEEP, encoding="utf-8")
    run(["dim.py", "--jobs", "2", *TINY], elsewhere, installed)
    assert records(elsewhere, "dim_bits") == records(elsewhere, "resolution") == 3


def test_a_task_of_another_package_goes_through_sweeps(installed, elsewhere, own_task_code, tmp_path_factory):
    plugin = tmp_path_factory.mktemp("plugin")
    (plugin / "fields.py").write_text(own_task_code, encoding="utf-8")
    information = plugin / "fields-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: fields\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[physlayer.tasks]\nmine = fields:TASK\n")
    (elsewhere / "both.py").write_text(BOTH)
    run(["both.py", "--task", "mine", "--jobs", "1", *TINY], elsewhere, installed, plugin)
    assert records(elsewhere, "bit_depth") == records(elsewhere, "resolution") == 3
