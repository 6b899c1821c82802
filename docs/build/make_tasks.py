"""Fill docs/tasks.md: what plain networks reach on real images, beside the figures of published coursework.

    python sweeps/bit_depth.py --task histology --data DIR/warwick --bits 8 --variants none --seeds 5 \\
        --out runs/tasks/histology
    python sweeps/bit_depth.py --task ultrasound --data DIR/fetal_head --bits 1,2,4 --variants fixed,learned \\
        --seeds 3 --out runs/tasks/ultrasound
    python sweeps/bit_depth.py --task digits --data DIR/mnist --network dense --epochs 48 --bits 8 --variants none \\
        --seeds 2 --out runs/tasks/digits_dense
    python sweeps/bit_depth.py --task digits --data DIR/mnist --network cnn --epochs 32 --bits 8 --variants none \\
        --seeds 2 --out runs/tasks/digits_cnn
    python sweeps/bit_depth.py --task digits_128 --data DIR/mnist --bits 8 --variants none --seeds 5 \\
        --out runs/tasks/digits_128
    python docs/build/make_tasks.py --runs runs/tasks --data DIR

Every score is that of the arm without a layer. Nothing in the page between ``<!-- begin: NAME -->`` and
``<!-- end: NAME -->`` is written by hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from pages import fill
from tables import DOCS, interval, load, provenance_lines, table

from physlayer.experiment.record import Record
from physlayer.experiment.report.rebuild import data_of, rebuild_model
from physlayer.experiment.scores import score_table
from physlayer.sweeps.bit_depth import SWEEP
from physlayer.tasks.base import Options
from physlayer.tasks.digits.numpy_forward import numpy_forward

# Folder of the runs: what stands in the table, coursework, aim.
ROWS = {
    "histology": ("Warwick glands", "75.1 to 78.9", "80 or more"),
    "digits_dense": ("MNIST, fully connected", "–", "97 or more"),
    "digits_cnn": ("MNIST, convolutional", "98.2 to 98.4", "98.5 or more"),
    "digits_128": ("MNIST, from 128 images", "91.8", "93 or more"),
    "ultrasound": ("fetal heads", "–", "see below"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    found = {name: load(args.runs / name) for name in ROWS if (args.runs / name / "test_set.json").exists()}
    parts = {"coursework": coursework(found)}
    for name, (records, test_set) in found.items():
        parts[f"provenance {name}"] = provenance_lines(plain(records), test_set)
    if "ultrasound" in found:
        parts["diameters"] = diameters(found["ultrasound"][0], args.data / "fetal_head")
    if "digits_cnn" in found:
        parts["numpy"] = numpy_pass(found["digits_cnn"][0][0], args.runs / "digits_cnn", args.data / "mnist")
    if "histology" in found:
        parts["overlaps"] = overlaps(found["histology"][0])
    fill(DOCS / "tasks.md", parts)


def plain(records: list[Record]) -> list[Record]:
    """The runs without a layer."""
    return [record for record in records if record.variant == "none"]


def coursework(found: dict) -> str:
    """Mean over seeds with its interval, every seed, and the coursework's figure."""
    body = []
    for name, (records, test_set) in found.items():
        problem, runs = test_set.problem, plain(records)
        score = score_table(runs, test_set).score(("none", None))
        each = [problem.scale * record.metrics["test"][problem.score] for record in runs]
        form = ".2f" if problem.unit else ".1f"
        what, published, aim = ROWS[name]
        body.append([what, f"{problem.score_name} / {problem.shown_unit}",
                     interval(score.estimate, score.low, score.high, problem=problem),
                     ", ".join(format(number, form) for number in each), published, aim])  # fmt: skip
    return table(["real images", "score", "mean [95 % interval]", "each seed", "coursework", "aim"], body)


def diameters(records: list[Record], folder: Path) -> str:
    """Errors of each diameter in mm and in % of it, and those of the two constant answers."""
    data = data_of(records[0], {"options": Options(data=str(folder))})
    truth, names = data.problem.true(data.test.targets.double()).numpy(), data.problem.names
    mean_mm = data.problem.true(data.pool.targets.double()).mean(0).numpy()
    share = data.problem.predicted(data.test.targets.double()[:, : len(names)] * 0, data.test.targets.double()).numpy()
    numbers = [record.metrics["test"]["numbers"] for record in plain(records)]
    body = []
    for k, name in enumerate(names):
        errors = [entry[name]["mean_absolute_error"] for entry in numbers]
        low, high = np.mean([entry[name]["limits_of_agreement"] for entry in numbers], 0)
        relative = 100 * np.mean([entry[name]["relative_error"] for entry in numbers])
        blind = [float(np.abs(guess - truth[:, k]).mean()) for guess in (mean_mm[k], share[:, k])]
        each = ", ".join(f"{error:.2f}" for error in errors)
        times = [f"{error:.1f} ({error / np.mean(errors):.1f} ×)" for error in blind]
        cells = [f"{np.mean(errors):.2f} ({each})", f"{relative:.1f}", f"{low:+.1f} to {high:+.1f}"]
        body.append([name, *cells, *times])
    head = ["diameter", "mean absolute error / mm (each seed)", "in % of the diameter", "limits of agreement / mm"]
    return table([*head, "mean of the training set / mm", "mean share of the picture / mm"], body)


def overlaps(records: list[Record]) -> str:
    """Dice, Jaccard and accuracy of the pixels, and how Dice is spread over the images, mean over seeds."""
    tests = [record.metrics["test"] for record in plain(records)]
    scores = np.array([record.scores["test"] for record in plain(records)])
    shares = [100 * np.mean([test[name] for test in tests]) for name in ("dice", "jaccard", "pixel_accuracy")]
    spread = 100 * np.quantile(scores.mean(0), [0, 0.25, 0.5, 0.75, 1])
    head = ["Dice / %", "Jaccard / %", "pixel accuracy / %", "images: smallest, quartiles, largest Dice / %"]
    return table(head, [[*(f"{share:.1f}" for share in shares), ", ".join(f"{value:.0f}" for value in spread)]])


def numpy_pass(record: Record, out: Path, folder: Path) -> str:
    """The whole test set through the trained network, by PyTorch and by the equations in NumPy."""
    settings = {"options": Options(data=str(folder))}
    model, test = rebuild_model(SWEEP, SWEEP.variant("none"), record, out, settings), data_of(record, settings).test
    logits = [
        (numpy_forward(model, images), model(images).detach().numpy())
        for images in (test.batch(part) for part in torch.arange(len(test)).split(1000))
    ]
    ours, theirs = (np.concatenate(part) for part in zip(*logits, strict=True))
    right = [f"{(found.argmax(1) == test.targets.numpy()).sum()}" for found in (ours, theirs)]
    agree = f"{(ours.argmax(1) == theirs.argmax(1)).sum()} of {len(test)}"
    largest = f"{np.abs(ours - theirs).max():.1e} of logits up to {np.abs(theirs).max():.0f}"
    return table(
        ["right by NumPy", "right by PyTorch", "same answer", "largest difference"], [[*right, agree, largest]]
    )


if __name__ == "__main__":
    main()
