"""Make the figure and the tables of docs/bit_depth.md from the records of a sweep.

    python docs/build/make_bit_depth.py --runs runs/bit_depth_blood_cells --half runs/bit_depth_blood_cells_16 \\
        --srgb runs/bit_depth_blood_cells_srgb --doubled runs/bit_depth_blood_cells_64

Nothing in the page between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` is written by hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from pages import fill
from tables import (
    DOCS,
    accuracy_table,
    contrast,
    contrast_table,
    difference_table,
    doubled_table,
    draw,
    in_order,
    interval,
    load,
    provenance_lines,
    table,
)

from physlayer.experiment.record import Record, TestSet
from physlayer.experiment.scores import ScoreTable, score_table
from physlayer.experiment.summary import paired_rows, summary_rows, write_summary
from physlayer.metrics import seed_correlation
from physlayer.sweeps.bit_depth import SWEEP

FIGURE_ARMS = ("fixed", "tuned", "learned", "per_pixel", "bit_budget", "bit_lattice", "none")
NAME = "bit_depth_blood_cells"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--half", type=Path, required=True, help="half the epochs: the controls and their partners")
    parser.add_argument("--srgb", type=Path, required=True, help="on encoded values, half the epochs")
    parser.add_argument("--doubled", type=Path, required=True, help="twice the epochs")
    args = parser.parse_args()
    records, test_set = load(args.runs)
    rows = summary_rows(records, test_set)
    (DOCS / "results").mkdir(exist_ok=True)
    write_summary(DOCS / "results" / f"{NAME}.csv", rows)
    draw(SWEEP, FIGURE_ARMS, rows, test_set, args.runs, NAME)
    scores = score_table(records, test_set)
    parts = {
        "accuracy": accuracy_table(SWEEP, rows),
        "differences": difference_table(SWEEP, paired_rows(records, test_set)),
        "contrasts": contrast_table(SWEEP, scores, CONTRASTS),
        "clean": clean_table(scores, test_set),
        "frozen": frozen_table(scores),
    }
    half, half_set = load(args.half)
    parts["controls accuracy"] = accuracy_table(SWEEP, summary_rows([r for r in half if is_control(r)], half_set))
    parts["controls"] = control_table(score_table(half, half_set), half)
    encoded, encoded_set = load(args.srgb)
    parts["srgb"] = accuracy_table(SWEEP, summary_rows(encoded, encoded_set))
    parts["srgb"] += "\n\n" + difference_table(SWEEP, paired_rows(encoded, encoded_set))
    doubled, doubled_set = load(args.doubled)
    parts["half"], parts["doubled"] = doubled_table(SWEEP, half, records), doubled_table(SWEEP, records, doubled)
    parts["longer"] = accuracy_table(SWEEP, summary_rows(doubled, doubled_set))
    parts["longer"] += "\n\n" + contrast_table(SWEEP, score_table(doubled, doubled_set), CONTRASTS)
    parts["provenance"] = "\n\n".join(
        f"{name}:\n\n{provenance_lines(*part)}"
        for name, part in (
            ("Main tables and figure", (records, test_set)),
            ("Controls", (half, half_set)),
            ("On encoded values", (encoded, encoded_set)),
            ("Twice the epochs", (doubled, doubled_set)),
        )
    )
    fill(DOCS / "bit_depth.md", parts)


CONTRASTS = (  # chosen with the first runs at hand, so exploratory
    (("learned", 1), ("fixed", 1)),
    (("learned", 2), ("fixed", 2)),
    (("learned", 2), ("fixed", 8)),
    (("learned", 2), ("none", None)),
    (("tuned", 1), ("fixed", 1)),
    (("learned", 1), ("tuned", 1)),
    (("learned", 2), ("tuned", 2)),
    (("bit_budget", 1), ("fixed", 2)),
    (("bit_budget", 1), ("fixed", 8)),
    (("bit_budget", 1), ("bit_lattice", 1)),
    (("bit_budget", 2), ("bit_lattice", 2)),
    (("bit_budget", 1), ("none", None)),
)


CONTROLS = ("bit_random", "bit_budget_smooth", "bit_shuffled", "bit_inverse", "bit_translated")
PARTNERS = ("fixed", "bit_budget", "bit_lattice", "none")


def is_control(record: Record) -> bool:
    """A control, or an arm of the same length that it is compared with, at one bit."""
    arm = record.variant.removesuffix("_retrained")
    return arm in CONTROLS or (record.variant in PARTNERS and record.value in (1, None))


def clean_table(scores: ScoreTable, test_set: TestSet) -> str:
    """The same scores without the test sources that have near-duplicates in the pool."""
    keep, body = ~np.isin(test_set.groups, test_set.straddling), []
    points = [point for point in scores.points() if point[0] in FIGURE_ARMS]
    for name in in_order(SWEEP, {name for name, _ in points}):
        for point in sorted((p for p in points if p[0] == name), key=lambda p: p[1] or 0):
            whole, clean = scores.score(point), scores.score(point, keep=keep)
            bits = "" if point[1] is None else f"{point[1]:g}"
            body.append([f"`{name}`", bits, f"{100 * whole.estimate:.1f}",
                         interval(clean.estimate, clean.low, clean.high)])  # fmt: skip
    dropped = f"without {len(test_set.straddling)} sources ({int((~keep).sum())} images)"
    return table(["arm", "bits", "all / %", f"{dropped} / %"], body)


def frozen_table(scores: ScoreTable) -> str:
    body = []
    for name, value in sorted(point for point in scores.points() if point[0].endswith("_retrained")):
        source = name.removesuffix("_retrained")
        body.append([f"`{source}`", f"{value:g}", contrast(scores, (name, value), (source, value)) or "–",
                     contrast(scores, (name, value), ("fixed", value)) or "–"])  # fmt: skip
    return table(["arm 5: camera of", "bits", "frozen − jointly learned (seeds)", "frozen − `fixed` (seeds)"], body)


def control_table(scores: ScoreTable, records: list[Record]) -> str:
    body, points = [], scores.points()
    values = sorted({r.value for r in records if r.variant == "bit_budget_smooth"})
    for value in values:
        for name in ("bit_shuffled", "bit_inverse", "bit_random", "bit_lattice"):
            # a changed map is followed by a fresh network; its fair partner is the unchanged map that was, too
            frozen = name in ("bit_shuffled", "bit_inverse") and ("bit_budget_smooth_retrained", value) in points
            partner = "bit_budget_smooth_retrained" if frozen else "bit_budget_smooth"
            found = contrast(scores, (name, value), (partner, value))
            if found:
                body.append([f"`{name}` − `{partner}`, {value:g} bit", found])
        if found := contrast(scores, ("bit_lattice", value), ("bit_random", value)):
            body.append([f"`bit_lattice` − `bit_random`, {value:g} bit", found])
        for name in ("bit_budget_smooth", "bit_translated", "bit_budget"):
            maps = [bit_map(r) for r in records if (r.variant, r.value) == (name, value)]
            flat = sum(m is not None and m.std() == 0 for m in maps)
            if flat:
                body.append([f"map of `{name}`, {value:g} bit", f"constant in {flat} of {len(maps)} seeds"])
            elif len(maps) > 1 and all(m is not None for m in maps):
                text = f"r̄ = {seed_correlation(np.array([m.ravel() for m in maps])):.2f} over {len(maps)} seeds, "
                text += f"spread {np.mean([m.std() for m in maps]):.2f} bit, centre − border {centre(maps):+.2f} bit"
                body.append([f"map of `{name}`, {value:g} bit", text])
    return table(["control", "result"], body)


def bit_map(record: Record) -> np.ndarray | None:
    value = record.camera.layers[0].quantities["bits"].value
    return None if value is None else np.array(value, dtype=float).reshape(np.array(value).shape[-2:])


def centre(maps: list[np.ndarray]) -> float:
    height, width = maps[0].shape
    inside = np.zeros((height, width), dtype=bool)
    inside[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    return float(np.mean([m[inside].mean() - m[~inside].mean() for m in maps]))


if __name__ == "__main__":
    main()
