"""Every sweep is a script: by its file in a clone, by its module where physlayer is installed."""

import runpy
import sys
from pathlib import Path

import pytest

SWEEPS = Path(__file__).resolve().parents[2] / "sweeps"
NAMES = sorted(path.stem for path in SWEEPS.glob("*.py") if path.stem != "__init__")


def helped(start, capsys):
    """What a script prints when it is started with ``--help``."""
    with pytest.raises(SystemExit) as stop:
        start()
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_usage_and_examples_say_how_the_script_was_started(name, monkeypatch, capsys):
    monkeypatch.chdir(SWEEPS.parent)
    monkeypatch.setenv("COLUMNS", "200")
    path, module = f"sweeps/{name}.py", f"physlayer.sweeps.{name}"
    monkeypatch.setattr(sys, "argv", [path, "--help"])
    by_file = helped(lambda: runpy.run_path(path, run_name="__main__"), capsys)
    assert by_file.startswith(f"usage: python {path} [-h]") and f"\n    python {path}" in by_file
    monkeypatch.delitem(sys.modules, module, raising=False)  # runpy warns of a module that is there already
    by_module = helped(lambda: runpy.run_module(module, run_name="__main__", alter_sys=True), capsys)
    assert by_module.startswith(f"usage: python -m {module} [-h]") and f"\n    python -m {module}" in by_module
    assert f"python {path}" not in by_module


@pytest.mark.parametrize("name", NAMES)
def test_a_script_ends_with_the_code_of_its_sweep(name):
    text = (SWEEPS / f"{name}.py").read_text(encoding="utf-8")
    call = "main()" if name == "robustness" else "main(SWEEP, __doc__)"  # whose grid is no sweep
    assert text.endswith(f'\n\nif __name__ == "__main__":\n    sys.exit({call})\n')
