"""Tables of a page from the records of a sweep: the same for every sweep."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from physlayer.experiment import Sweep
from physlayer.experiment.axis import shown_value
from physlayer.experiment.camera_maps import learned_quantities
from physlayer.experiment.plot_curves import draw_figure
from physlayer.experiment.problem_info import ProblemInfo
from physlayer.experiment.record import Record, TestSet
from physlayer.experiment.records import read_records, read_test_set
from physlayer.experiment.scores import ScoreTable
from physlayer.experiment.summary import PairedRow, SummaryRow

DOCS = Path(__file__).resolve().parents[1]
CLASSES = ProblemInfo()  # what is asked unless said otherwise
NOT_YET = "*Not yet computed.*"


def load(folder: Path) -> tuple[list[Record], TestSet]:
    """Records of a sweep, and what it says of its test images."""
    records = sorted(read_records(folder), key=lambda r: (r.variant, r.value or 0, r.seed))
    return records, read_test_set(folder)


def draw(
    sweep: Sweep, names: tuple[str, ...], rows: list[SummaryRow], test_set: TestSet, runs: Path, name: str
) -> None:
    """The figure of the arms ``names``, beside the page."""
    present = {row.variant for row in rows}
    arms = [v for v in sweep.variants if v.name in present and v.name in names]
    draw_figure(sweep, arms, [row for row in rows if row.variant in names], test_set, runs)
    (DOCS / "figures").mkdir(exist_ok=True)
    shutil.copy(runs / "figure.png", DOCS / "figures" / f"{name}.png")


def table(header: list[str], body: list[list[str]]) -> str:
    if not body:
        return NOT_YET
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


def interval(score: float, low: float, high: float, signed: bool = False, problem: ProblemInfo = CLASSES) -> str:
    """Shares in %, to a tenth; numbers with a unit to a hundredth."""
    form, scale = f"{'+' if signed else ''}.{2 if problem.unit else 1}f", problem.scale
    return f"{scale * score:{form}} [{scale * low:{form}}, {scale * high:{form}}]"


def points_of(problem: ProblemInfo) -> str:
    """Unit of a difference: that of the score, percentage points of a share."""
    return problem.unit or "points"


def verdict(low: float, high: float) -> str:
    return "above zero" if low > 0 else "below zero" if high < 0 else "includes zero"


def in_order(sweep: Sweep, names: set[str]) -> list[str]:
    known = [v.name for v in sweep.variants]
    order = [*known, *(f"{name}_retrained" for name in known)]
    return sorted(names, key=order.index)


def shown(sweep: Sweep, value: float | None) -> str:
    return "" if value is None else f"{shown_value(value, sweep.scale)} {sweep.unit}".strip()


def accuracy_table(sweep: Sweep, rows: list[SummaryRow], problem: ProblemInfo = CLASSES) -> str:
    """Test score with its interval and number of seeds, an arm a row, a value a column."""
    chosen = [r for r in rows if r.split == "test" and r.metric == problem.score]
    points = {(r.variant, r.value): r for r in chosen if r.pooled}
    seeds = Counter((r.variant, r.value) for r in chosen if not r.pooled)
    values = sorted({value for _, value in points if value is not None})
    body = []
    for name in in_order(sweep, {name for name, _ in points}):
        cells = []
        for value in values:
            row = points.get((name, value)) or points.get((name, None))
            count = seeds[name, value] or seeds[name, None]
            cells.append(f"{interval(row.score, row.low, row.high, problem=problem)} ({count})" if row else "–")
        body.append([f"`{name}`", *cells])
    return table([f"test {problem.score_name} / {problem.shown_unit}", *(shown(sweep, v) for v in values)], body)


def measured_table(sweep: Sweep, rows: list[SummaryRow]) -> str:
    """Quality of the pictures that networks are given: mean over seeds, smallest and largest where they differ."""
    chosen = [r for r in rows if r.split == "test" and r.metric in QUALITY]
    values, body = sorted({r.value for r in chosen}), []
    for name in in_order(sweep, {r.variant for r in chosen}):
        cells = []
        for value in values:
            own = [r for r in chosen if (r.variant, r.value) == (name, value)]
            shown_numbers = []
            for metric, (unit, digits) in QUALITY.items():
                seeds = [r.score for r in own if r.metric == metric and not r.pooled]
                low, high = (f"{end(seeds):.{digits}f}" for end in (min, max))
                spread = "" if low == high else f" ({low} to {high})"
                shown_numbers.append(f"{np.mean(seeds):.{digits}f}{spread}{unit}")
            cells.append("; ".join(shown_numbers))
        body.append([f"`{name}`", *cells])
    return table(["PSNR; SSIM", *(shown(sweep, value) for value in values)], body)


def difference_table(sweep: Sweep, differences: list[PairedRow], problem: ProblemInfo = CLASSES) -> str:
    """Each arm minus the baseline at the same value, paired over seeds and sources."""
    body = [
        [f"`{d.variant}`", shown(sweep, d.value), str(d.seeds),
         interval(d.difference, d.low, d.high, True, problem), f"{d.p_sign_flip:.3f}",
         verdict(d.low, d.high)]
        for d in differences if not d.variant.endswith("_retrained")
    ]  # fmt: skip
    header = [
        f"arm − `{sweep.baseline}`",
        sweep.parameter,
        "seeds",
        f"difference / {points_of(problem)}",
        "p (sign flip)",
        "interval",
    ]
    return table(header, body)


QUALITY = {"psnr_db": (" dB", 1), "ssim": ("", 2)}  # unit and digits
COMPUTED = ("crlb",)  # arms whose values are found without a network: shown with the learned ones
COSTS = {"photons": "photons", "bits_per_image": "bits", "n_samples": "samples"}


def found_table(sweep: Sweep, records: list[Record]) -> str:
    """What was learned: up to twelve numbers of a quantity as they are, choices of one of K as the share of each."""
    body = []
    learned = {place.rpartition(".")[2] for r in records for place in learned_quantities(r.camera)}
    for name in in_order(sweep, {r.variant for r in records}):
        runs = [r for r in records if r.variant == name]
        for record in sorted(runs, key=lambda r: (r.value or 0, r.seed)):
            filters = {layer.name: layer.settings.get("filters") for layer in record.camera.layers}
            for place, (value, unit) in learned_quantities(record.camera, fixed_too=name in COMPUTED).items():
                layer, _, quantity = place.rpartition(".")
                if quantity not in learned:
                    continue
                if value.ndim == 3 and (value.sum(0) == 1).all() and np.isin(value, (0, 1)).all():
                    names = filters.get(layer) or [str(plane) for plane in range(len(value))]
                    shares = zip(names, value.mean((1, 2)), strict=True)
                    shown = ", ".join(f"{what} {100 * share:.0f} %" for what, share in shares)
                elif value.size <= 12:
                    form = ".2f" if value.size > 8 else ".3g"
                    numbers = ", ".join(format(number, form) for number in value.ravel())
                    shown = numbers + ("" if unit == "1" else f" {unit}")
                else:
                    continue
                at = "–" if record.value is None else shown_value(record.value, sweep.scale)
                body.append([f"`{name}`", at, str(record.seed), f"{quantity.replace('_', ' ')}: {shown}"])
    return table(["arm", sweep.parameter, "seed", "learned"], body)


def cost_table(sweep: Sweep, records: list[Record]) -> str:
    """What one image costs each arm, mean over seeds: learning may buy accuracy with light."""
    body, swept = [], [r for r in records if r.value is not None and not r.variant.endswith("_retrained")]
    values = sorted({r.value for r in swept})
    for name in in_order(sweep, {r.variant for r in swept}):
        cells = []
        for value in values:
            costs = [r.camera.cost for r in swept if (r.variant, r.value) == (name, value)]
            known = [key for key in COSTS if costs and all(key in cost for cost in costs)]
            cells.append("; ".join(f"{np.mean([c[key] for c in costs]):,.0f} {COSTS[key]}" for key in known) or "–")
        body.append([f"`{name}`", *cells])
    return table(["cost of one image", *(shown(sweep, value) for value in values)], body)


def contrast(scores: ScoreTable, one: tuple, other: tuple, problem: ProblemInfo = CLASSES) -> str | None:
    """First point minus second, on the seeds that both have."""
    d = scores.difference(one, other)
    return d and f"{interval(d.estimate, d.low, d.high, True, problem)} ({len(d.per_seed)}), {verdict(d.low, d.high)}"


def named(sweep: Sweep, name: str, value: float | None) -> str:
    return f"`{name}`" if value is None else f"`{name}` at {shown(sweep, value)}"


def contrast_table(sweep: Sweep, scores: ScoreTable, contrasts: tuple, problem: ProblemInfo = CLASSES) -> str:
    body = []
    for one, other in contrasts:
        if found := contrast(scores, one, other, problem):
            names = [
                f"`{name}`" + (f" at {shown(sweep, value)}" if value is not None else "")
                for name, value in (one, other)
            ]
            body.append([f"{names[0]} − {names[1]}", found])
    return table(["contrast", f"{points_of(problem)} (seeds)"], body)


def doubled_table(sweep: Sweep, records: list[Record], doubled: list[Record]) -> str:
    """Change of hard accuracy, on validation (which the rule is about) and on test, per seed."""
    once, twice = ({(r.variant, r.value, r.seed): r.metrics for r in part} for part in (records, doubled))
    body = []
    for name, value in sorted({(v, x) for v, x, _ in twice}, key=lambda p: (p[0], p[1] or 0)):
        seeds = sorted(s for (v, x, s) in twice if (v, x) == (name, value) and (v, x, s) in once)
        cells = []
        for split in ("validation", "test"):
            pairs = [(twice[name, value, s][split]["accuracy"], once[name, value, s][split]["accuracy"]) for s in seeds]
            change = [100 * (later - sooner) for later, sooner in pairs]
            cells.append(f"{np.mean(change):+.1f} ({', '.join(f'{c:+.1f}' for c in change)})" if change else "–")
        body.append([f"`{name}`", shown(sweep, value), *cells])
    header = ["arm", sweep.parameter, "validation, twice the epochs − once / points (each seed)", "test"]
    return table(header, body)


def provenance_lines(records: list[Record], test_set: TestSet) -> str:
    commits = Counter(r.provenance.commit for r in records)
    recipe = records[0].config.recipe
    hours = sum(r.provenance.seconds for r in records) / 3600
    gap = max(abs(epoch.gap) for r in records for epoch in r.history)
    dates = sorted({r.provenance.date for r in records})
    seeds = sorted({r.seed for r in records})
    made = ", ".join(f"{commit} ({count})" for commit, count in commits.items())
    sources = len(set(test_set.groups))
    per_class = recipe["images_per_class"]
    cap = f" of {per_class} images per class, drawn evenly over sources" if per_class else ""
    lines = [
        f"- {len(records)} runs, seeds {', '.join(map(str, seeds))}, {hours:.1f} hours of one core, {dates[0]} to "
        f"{dates[-1]}, commits {made}, torch {records[0].provenance.versions['torch']}",
        f"- data {test_set.fingerprint[:16]}, {len(test_set.targets)} test images of {sources} sources",
        f"- {recipe['epochs']} epochs{cap}; learning rate {recipe['lr']:g}, physics {recipe['lr_physics']}; "
        f"network `{records[0].config.network}`",
        f"- largest gap between soft and hard validation score at any epoch of any run: {gap:.3f}",
    ]
    return "\n".join(lines)
