"""Every example in a docstring runs, under the name by which users import its module."""

import doctest
import importlib
import pkgutil

import pytest

import physlayer


def examples():
    """All docstrings with examples, of ``physlayer`` with its tasks and sweeps."""
    found = []
    packages = [physlayer, *map(importlib.import_module, ("physlayer.tasks", "physlayer.sweeps"))]
    names = {package.__name__ for package in packages}
    for package in packages:
        names |= {info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")}
    for name in sorted(names):
        module = importlib.import_module(name)
        found += [test for test in doctest.DocTestFinder(exclude_empty=True).find(module, name) if test.examples]
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_the_example_gives_what_it_shows(example):
    lines: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(example, out=lines.append, clear_globs=False)
    assert not runner.failures, "".join(lines)
