"""Run the benchmarks and show what they print on docs/speed.md.

    python docs/build/make_speed.py                  # minutes, on a machine that does nothing else
    python docs/build/make_speed.py blur sensor

Nothing in the page between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` is written by hand.
"""

from __future__ import annotations

import subprocess
import sys

from pages import fill
from tables import DOCS

from physlayer.experiment.provenance import provenance

BENCHMARKS = {
    "sensor": [],
    "bit_depth": [],
    "blur": ["--rounds", "5"],
    "shift_variant": ["--rounds", "3"],
    "training": ["--images", "1024", "--epochs", "3"],
}


def main() -> None:
    parts = {}
    for name in sys.argv[1:] or BENCHMARKS:
        command = [f"benchmarks/{name}.py", *BENCHMARKS[name]]
        found = subprocess.run([sys.executable, *command], cwd=DOCS.parent, capture_output=True, text=True, check=True)
        made = provenance()
        shown = "\n".join(f"    {line}".rstrip() for line in found.stdout.strip().splitlines())
        head = f"`python {' '.join(command)}`, {made['date']}, commit {made['commit']}:"
        parts[name] = f"{head}\n\n{shown}"
    fill(DOCS / "speed.md", parts)


if __name__ == "__main__":
    main()
