"""Which code makes a record: commit, versions and date."""

from __future__ import annotations

import datetime
import functools
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

__all__ = ["provenance"]


@functools.cache
def provenance() -> dict[str, Any]:
    """``commit``, ``versions`` and ``date`` of a run."""
    import numpy
    import scipy

    root = Path(__file__).resolve().parents[2]
    try:
        if not (root / ".git").exists():
            raise FileNotFoundError("installed: a repository around it is somebody else's")
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        commit = "unknown"
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    versions |= {"scipy": scipy.__version__, "physlayer": version("physlayer")}
    return {"commit": commit, "versions": versions, "date": datetime.date.today().isoformat()}
