"""Load a task from code that is not ours: a Python file, or an installed package's entry point."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

__all__ = ["load_entry_point", "load_file"]


def load_file(path: Path, name: str) -> object:
    """The object ``name`` of a Python file, or what it gives if it is a class or a function; the file is run.

    Modules beside the file may be imported by it; installed ones of the same name come first.

    Raises:
        ValueError: if there is no such file or no such object in it, or the file does not run; with its line.
    """
    if not path.is_file():
        raise ValueError(f"Expected --task to name a Python file, but got {path}, which is missing.")
    # a name of its own, so that a file called tasks.py or random.py hides nothing
    module_name = f"physlayer_task_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec and spec.loader  # every .py file has them
    loader, module = spec.loader, importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[module_name] = module  # where dataclasses look for it
    try:
        _run(lambda: loader.exec_module(module), f"{path} to be a Python file that runs", path)
    except ValueError:
        del sys.modules[module_name]
        raise
    if not hasattr(module, name):
        raise ValueError(
            f"Expected {path} to hold {name}, but got none; name the task's object, --task {path.name}:NAME."
        )
    return _made(getattr(module, name), f"{name} of {path} to give a task", path)


def load_entry_point(point: EntryPoint) -> object:
    """What an installed package's entry point names, or what it gives if it is a class or a function.

    Raises:
        ValueError: if it cannot be imported, or fails.
    """
    expected = f"the entry point {point.name} ({point.value}) to give a task"
    return _made(_run(point.load, expected), expected)


def _made(found: object, expected: str, path: Path | None = None) -> object:
    """What a class or a function gives without arguments; any other object as it is."""
    if callable(found) and (isinstance(found, type) or not hasattr(found, "load")):
        return _run(found, expected, path)
    return found


def _run(code: Callable[[], object], expected: str, path: Path | None = None) -> object:
    """Run code of somebody else's; if it fails, say why in one sentence, and where in ``path``."""
    try:
        return code()
    except (Exception, SystemExit) as error:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines.append(error.lineno)
        reason = ": ".join([type(error).__name__, *text.splitlines()[:1]])
        where = f" in line {lines[-1]}" if lines else ""
        raise ValueError(f"Expected {expected}, but got {reason}{where}.") from error
