"""How much memory a run needs at most, in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

__all__ = ["children", "grown"]


def grown(run: Callable[[], object]) -> float:
    """MiB by which the process' largest resident size grows in one run; Linux."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def children(names: list[str]) -> dict[str, float]:
    """MiB of each named run: this script with the same arguments and ``--peak NAME``, one process after the other."""
    found = {}
    for name in names:
        command = [sys.executable, *sys.argv, "--peak", name]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[name] = float(shown.split()[-1])
    return found
