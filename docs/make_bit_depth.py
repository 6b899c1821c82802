"""Make the figure and the tables of docs/bit_depth.md from the records of a sweep.

    python docs/make_bit_depth.py --runs runs/bit_depth_blood_cells --srgb runs/bit_depth_blood_cells_srgb \\
        --doubled runs/bit_depth_blood_cells_doubled

Nothing in the page between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` is written by hand.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
from pages import fill

from physlayer.statistics import cluster_bootstrap, paired_difference, seed_correlation
from physlayer.sweep.figure import draw_figure
from physlayer.sweep.records import read_records
from physlayer.sweep.summary import _strata, paired_rows, scores_of, summary_rows, write_summary
from sweeps.bit_depth import SWEEP

DOCS = Path(__file__).resolve().parent
FIGURE_ARMS = ("fixed", "tuned", "learned", "per_pixel", "bit_budget", "bit_lattice", "none")
NAME = "bit_depth_blood_cells"
NOT_YET = "*Not yet computed.*"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--srgb", type=Path)
    parser.add_argument("--doubled", type=Path)
    args = parser.parse_args()
    records, test_set = load(args.runs)
    rows = summary_rows(records, test_set)
    (DOCS / "results").mkdir(exist_ok=True)
    (DOCS / "figures").mkdir(exist_ok=True)
    write_summary(DOCS / "results" / f"{NAME}.csv", rows)
    draw(records, rows, test_set, args.runs)
    parts = {
        "accuracy": accuracy_table(rows),
        "differences": difference_table(paired_rows(records, test_set)),
        "contrasts": contrast_table(records, test_set),
        "clean": clean_table(records, test_set),
        "frozen": frozen_table(records, test_set),
        "controls": control_table(records, test_set),
        "provenance": provenance_lines(records, test_set),
    }
    parts |= {"srgb": NOT_YET, "doubled": NOT_YET, "longer": NOT_YET}
    if args.srgb:
        encoded, encoded_set = load(args.srgb)
        parts["srgb"] = accuracy_table(summary_rows(encoded, encoded_set))
        parts["srgb"] += "\n\n" + difference_table(paired_rows(encoded, encoded_set))
    if args.doubled:
        longer, longer_set = load(args.doubled)
        parts["doubled"] = doubled_table(records, longer)
        parts["longer"] = accuracy_table(summary_rows(longer, longer_set))
        parts["longer"] += "\n\n" + contrast_table(longer, longer_set)
    fill(DOCS / "bit_depth.md", parts)


def load(folder: Path) -> tuple[list[dict], dict]:
    return read_records(folder), json.loads((folder / "test_set.json").read_text(encoding="utf-8"))


def draw(records: list[dict], rows: list[dict], test_set: dict, runs: Path) -> None:
    present = {record["variant"] for record in records}
    arms = [v for v in SWEEP.variants if v.name in present and v.name in FIGURE_ARMS]
    shown = [row for row in rows if row["variant"] in FIGURE_ARMS]
    draw_figure(SWEEP, arms, shown, test_set, runs)
    shutil.copy(runs / "figure.png", DOCS / "figures" / f"{NAME}.png")


def table(header: list[str], body: list[list[str]]) -> str:
    if not body:
        return NOT_YET
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


def interval(score: float, low: float, high: float, signed: bool = False) -> str:
    mark = "+" if signed else ""
    return f"{100 * score:{mark}.1f} [{100 * low:{mark}.1f}, {100 * high:{mark}.1f}]"


def arms_in_order(names: set[str]) -> list[str]:
    known = [v.name for v in SWEEP.variants]
    order = [*known, *(f"{name}_retrained" for name in known)]
    return sorted(names, key=order.index)


def accuracy_table(rows: list[dict]) -> str:
    chosen = [r for r in rows if r["split"] == "test" and r["metric"] == "accuracy"]
    points = {(r["variant"], r["value"]): r for r in chosen if r["seed"] == "all"}
    seeds = Counter((r["variant"], r["value"]) for r in chosen if r["seed"] != "all")
    values = sorted({value for _, value in points if value != ""})
    body = []
    for name in arms_in_order({name for name, _ in points}):
        cells = []
        for value in values:
            row = points.get((name, value)) or points.get((name, ""))
            count = seeds[name, value] or seeds[name, ""]
            cells.append(f"{interval(row['score'], row['low'], row['high'])} ({count})" if row else "–")
        body.append([f"`{name}`", *cells])
    return table(["test accuracy / %", *(f"{v:g} bit" for v in values)], body)


def difference_table(differences: list[dict]) -> str:
    body = [
        [f"`{d['variant']}`", f"{d['value']:g}", str(d["seeds"]), interval(d["difference"], d["low"], d["high"], True),
         f"{d['p_sign_flip']:.3f}", verdict(d["low"], d["high"])]
        for d in differences if not d["variant"].endswith("_retrained")
    ]  # fmt: skip
    return table(["arm − `fixed`", "bits", "seeds", "difference / points", "p (sign flip)", "interval"], body)


def verdict(low: float, high: float) -> str:
    return "above zero" if low > 0 else "below zero" if high < 0 else "includes zero"


def hits_of(records: list[dict], test_set: dict) -> dict[tuple, np.ndarray]:
    targets = np.array(test_set["targets"])
    return {(r["variant"], r["value"], r["seed"]): scores_of(r, targets) for r in records}


def stacked(hits: dict, *points: tuple) -> list[np.ndarray] | None:
    """Hits ``(seeds, images)`` of several (arm, value) on the seeds that all of them have."""
    seeds = [{s for (v, x, s) in hits if (v, x) == point} for point in points]
    common = sorted(set.intersection(*seeds))
    return [np.array([hits[*point, s] for s in common]) for point in points] if common else None


def contrast(hits: dict, one: tuple, other: tuple, test_set: dict) -> str | None:
    pair = stacked(hits, one, other)
    if pair is None:
        return None
    targets, groups = np.array(test_set["targets"]), np.array(test_set["groups"])
    d = paired_difference(*pair, groups, strata=_strata(targets, groups))
    return f"{interval(d.estimate, d.low, d.high, True)} ({len(pair[0])}), {verdict(d.low, d.high)}"


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
    (("bit_lattice", 1), ("bit_random", 1)),
    (("bit_budget", 2), ("bit_lattice", 2)),
    (("bit_budget", 1), ("none", None)),
)


def contrast_table(records: list[dict], test_set: dict) -> str:
    hits = hits_of(records, test_set)
    body = []
    for one, other in CONTRASTS:
        found = contrast(hits, one, other, test_set)
        if found:
            names = [f"`{name}`" + ("" if value is None else f" at {value:g} bit") for name, value in (one, other)]
            body.append([f"{names[0]} − {names[1]}", found])
    return table(["contrast", "points (seeds)"], body)


def clean_table(records: list[dict], test_set: dict) -> str:
    """The same scores without the test sources that have near-duplicates in the pool."""
    keep = ~np.isin(test_set["groups"], test_set["straddling"])
    targets, groups = np.array(test_set["targets"])[keep], np.array(test_set["groups"])[keep]
    hits, body = hits_of(records, test_set), []
    points = {(r["variant"], r["value"]) for r in records if r["variant"] in FIGURE_ARMS}
    for name in arms_in_order({name for name, _ in points}):
        for value in sorted((v for n, v in points if n == name), key=lambda v: v or 0):
            scores = stacked(hits, (name, value))[0]
            clean = cluster_bootstrap(scores[:, keep], groups, strata=_strata(targets, groups))
            body.append([f"`{name}`", "" if value is None else f"{value:g}", f"{100 * scores.mean():.1f}",
                         interval(clean.estimate, clean.low, clean.high)])  # fmt: skip
    dropped = f"without {len(test_set['straddling'])} sources ({int((~keep).sum())} images)"
    return table(["arm", "bits", "all / %", f"{dropped} / %"], body)


def frozen_table(records: list[dict], test_set: dict) -> str:
    hits, body = hits_of(records, test_set), []
    for name, value in sorted({(r["variant"], r["value"]) for r in records if r["variant"].endswith("_retrained")}):
        source = name.removesuffix("_retrained")
        body.append([f"`{source}`", f"{value:g}", contrast(hits, (name, value), (source, value), test_set) or "–",
                     contrast(hits, (name, value), ("fixed", value), test_set) or "–"])  # fmt: skip
    return table(["arm 5: camera of", "bits", "frozen − jointly learned (seeds)", "frozen − `fixed` (seeds)"], body)


def control_table(records: list[dict], test_set: dict) -> str:
    hits, body = hits_of(records, test_set), []
    values = sorted({r["value"] for r in records if r["variant"] == "bit_budget_smooth"})
    points = {(r["variant"], r["value"]) for r in records}
    for value in values:
        for name in ("bit_shuffled", "bit_inverse", "bit_random", "bit_lattice"):
            # a changed map is followed by a fresh network; its fair partner is the unchanged map that was, too
            frozen = name in ("bit_shuffled", "bit_inverse") and ("bit_budget_smooth_retrained", value) in points
            partner = "bit_budget_smooth_retrained" if frozen else "bit_budget_smooth"
            found = contrast(hits, (name, value), (partner, value), test_set)
            if found:
                body.append([f"`{name}` − `{partner}`, {value:g} bit", found])
        for name in ("bit_budget_smooth", "bit_translated", "bit_budget"):
            maps = [bit_map(r) for r in records if (r["variant"], r["value"]) == (name, value)]
            flat = sum(m is not None and m.std() == 0 for m in maps)
            if flat:
                body.append([f"map of `{name}`, {value:g} bit", f"constant in {flat} of {len(maps)} seeds"])
            elif len(maps) > 1 and all(m is not None for m in maps):
                text = f"r̄ = {seed_correlation(np.array([m.ravel() for m in maps])):.2f} over {len(maps)} seeds, "
                text += f"spread {np.mean([m.std() for m in maps]):.2f} bit, centre − border {centre(maps):+.2f} bit"
                body.append([f"map of `{name}`, {value:g} bit", text])
    return table(["control", "result"], body)


def bit_map(record: dict) -> np.ndarray | None:
    value = record["camera"]["layers"][0]["quantities"]["bits"].get("value")
    return None if value is None else np.array(value, dtype=float).reshape(np.array(value).shape[-2:])


def centre(maps: list[np.ndarray]) -> float:
    height, width = maps[0].shape
    inside = np.zeros((height, width), dtype=bool)
    inside[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    return float(np.mean([m[inside].mean() - m[~inside].mean() for m in maps]))


def doubled_table(records: list[dict], doubled: list[dict]) -> str:
    """Change of hard accuracy, on validation (which the rule is about) and on test, per seed."""
    once, twice = ({(r["variant"], r["value"], r["seed"]): r["metrics"] for r in part} for part in (records, doubled))
    body = []
    for name, value in sorted({(v, x) for v, x, _ in twice}, key=lambda p: (p[0], p[1] or 0)):
        seeds = sorted(s for (v, x, s) in twice if (v, x) == (name, value) and (v, x, s) in once)
        cells = []
        for split in ("validation", "test"):
            pairs = [(twice[name, value, s][split]["accuracy"], once[name, value, s][split]["accuracy"]) for s in seeds]
            change = [100 * (later - sooner) for later, sooner in pairs]
            cells.append(f"{np.mean(change):+.1f} ({', '.join(f'{c:+.1f}' for c in change)})" if change else "–")
        body.append([f"`{name}`", "" if value is None else f"{value:g}", *cells])
    return table(["arm", "bits", "validation, twice the epochs − once / points (each seed)", "test"], body)


def provenance_lines(records: list[dict], test_set: dict) -> str:
    commits = Counter(r["provenance"]["commit"] for r in records)
    recipe = records[0]["config"]["recipe"]
    hours = sum(r["provenance"]["seconds"] for r in records) / 3600
    gap = max(abs(epoch["gap"]) for r in records for epoch in r["history"])
    dates = sorted({r["provenance"]["date"] for r in records})
    made = ", ".join(f"{commit} ({count})" for commit, count in commits.items())
    sources = len(set(test_set["groups"]))
    lines = [
        f"- {len(records)} runs, {hours:.1f} hours of one core, {dates[0]} to {dates[-1]}, commits {made}, "
        f"torch {records[0]['provenance']['versions']['torch']}",
        f"- data {test_set['fingerprint'][:16]}, {len(test_set['targets'])} test images of {sources} sources",
        f"- {recipe['epochs']} epochs of {recipe['images_per_class']} images per class, drawn evenly over sources; "
        f"learning rate {recipe['lr']:g}, physics {recipe['lr_physics']}; network `{records[0]['config']['network']}`",
        f"- largest gap between soft and hard validation accuracy at any epoch of any run: {gap:.3f}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
