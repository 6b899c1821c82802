"""What type checkers know of the public names: a user's script passes mypy's strictest setting."""

import importlib.util
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("user_script.py")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The packages as a wheel lays them out; mypy does not follow an editable install to ``tasks/``."""
    place = tmp_path_factory.mktemp("installed")
    for source, target in (("physlayer", ""), ("tasks", "tasks"), ("sweeps", "sweeps")):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / source, place / "physlayer" / target, ignore=ignored, dirs_exist_ok=True)
    return place


def mypy(script, place, cache):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; pip install -e '.[test]'")
    shutil.copy(script, place)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}"]
    command += ["--follow-imports=silent", Path(script).name]  # what is wrong inside physlayer is not the user's matter
    return subprocess.run(command, cwd=place, capture_output=True, text=True)


@pytest.mark.slow
def test_a_typed_script_of_a_user_has_no_type_errors(installed, pytestconfig):
    found = mypy(SCRIPT, installed, pytestconfig.cache.mkdir("mypy"))
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.slow
def test_a_reading_taken_for_a_module_is_a_type_error(installed, pytestconfig, tmp_path):
    wrong = tmp_path / "wrong_script.py"
    line = "assert_type(camera(x), Tensor)"
    text = SCRIPT.read_text(encoding="utf-8")
    assert line in text
    wrong.write_text(text.replace(line, "layer: nn.Module = camera(x)"), encoding="utf-8")
    found = mypy(wrong, installed, pytestconfig.cache.mkdir("mypy"))
    assert found.stdout.count("error:") == 1 and 'expression has type "Tensor", variable has' in found.stdout


def test_the_typed_script_runs(capsys):
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert float(capsys.readouterr().out) == pytest.approx(0, abs=10)
