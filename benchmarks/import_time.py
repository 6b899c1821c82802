"""Import time of physlayer beyond torch, measured in fresh interpreters, interleaved.

python benchmarks/import_time.py
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 7


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    codes = {"torch": "import torch", "physlayer": "import physlayer"}
    times = {name: [] for name in codes}
    for turn in range(ROUNDS + 1):
        for name, code in codes.items():
            value = seconds(code)
            if turn:
                times[name].append(value)
    torch_, ours = (statistics.median(times[name]) for name in ("torch", "physlayer"))
    print(f"import torch {torch_:.2f} s, import physlayer {ours:.2f} s: {ours - torch_:+.2f} s beyond torch")


if __name__ == "__main__":
    main()
