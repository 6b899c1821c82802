"""The report of a sweep: one HTML file with everything inside, sections that fail alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import torch

from physlayer.experiment.camera_maps import brief, is_map, learned_quantities
from physlayer.experiment.plot_curves import make_figure
from physlayer.experiment.plot_style import count
from physlayer.experiment.report import by_problem as report_problems
from physlayer.experiment.report import figures as report_parts
from physlayer.experiment.report.context import Material, agreement, compared, control_notes, parameter_sensitivity
from physlayer.experiment.report.figures import listed, number, picture, reason, table, value_name
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import statistics_of

__all__ = ["OF_THE_PROBLEM", "SECTIONS", "write_report"]

# Shown where they are recorded.
BESIDES = ("binary_accuracy", "balanced_binary_accuracy", "within_tolerance", "jaccard")
BEFORE = 3  # sections before those of the problem

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8888; } h3 { margin: 1.2rem 0 .3rem; }
.wide { overflow-x: auto; } img { max-width: 100%; background: white; padding: 4px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8885; text-align: left; white-space: nowrap; }
td.wrap { white-space: normal; overflow-wrap: anywhere; }
.missing { border-left: 4px solid #d55e00; padding-left: .6rem; }
.note, figcaption { opacity: .8; font-size: 13px; }
figure { margin: .6rem 0; }
"""


def write_report(
    sweep: Sweep, variants: list[Variant], records: list[dict], rows: list[dict], test_set: dict, out: Path,
    settings: dict,
) -> list[str]:  # fmt: skip
    """Write ``report.html`` to ``out``; returns its name, with the sections that could not be made.

    Args:
        sweep, variants: what was run. records, rows: its records and their summary rows.
        test_set: class names, targets and sources of the test images.
        out: output folder, with ``models/`` and ``logits/``. settings: as the engine has them.

    Raises:
        ValueError: if there are no records.
    """
    if not records:
        raise ValueError("Expected records to hold at least one run, but got none.")
    material = Material(sweep, variants, records, rows, test_set, out, settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # single images are no work for two, and a busy machine makes the second one wait
    try:
        parts, failed = make_sections(material)
    finally:
        torch.set_num_threads(threads)
    notes = f'<p class="note">{escape(" ".join(test_set["notes"]))}</p>'  # a smoke run must say so first
    heading = escape(f"{sweep.name}: {records[0]['task']}")
    page = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
        f"<style>{STYLE}</style></head><body><h1>{heading}</h1>{notes}{''.join(parts)}</body></html>\n"
    )
    temporary = out / f".report.html.{os.getpid()}.tmp"
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(out / "report.html")
    return ["report.html" + (f" (incomplete: {', '.join(failed)})" if failed else "")]


def make_sections(material: Material) -> tuple[list[str], list[str]]:
    """The page's parts, and the titles of the sections that could not be made."""
    parts, failed = [], []
    own = OF_THE_PROBLEM[material.problem.kind]
    for title, section in (*SECTIONS[:BEFORE], *own, *SECTIONS[BEFORE:]):
        parts.append(f"<h2>{escape(title)}</h2>")
        try:
            for part in section(material):
                parts.append(part)
        except Exception as error:  # whatever a section meets, the others must not be lost with it
            failed.append(title)
            parts.append(f'<p class="missing">This part is missing: {escape(reason(error))}</p>')
    return parts, failed


def provenance(material: Material) -> Iterator[str]:
    records, test = material.records, material.test_set
    notes = [r["provenance"] for r in records]
    shared = {k: v for k, v in records[0]["config"].items() if k not in ("variant", "value", "seed", "source")}
    versions = sorted({f"{k} {v}" for n in notes for k, v in n["versions"].items()})
    dates = sorted({n["date"] for n in notes})
    lines = {
        "data": f"SHA-256 {records[0]['provenance']['data']}",
        "notes on the data": " ".join(test["notes"]) or "none",
        "test set": f"{count(len(test['targets']), 'image')} of {count(len(set(test['groups'])), 'source')}; "
        + ", ".join(material.problem.names or (f"{name} {n}" for name, n in counts_of(material))),
        "arms": "; ".join(f"{v.name} ({v.label})" for v in material.variants),
        f"values ({material.sweep.axis})": ", ".join(map(value_name, material.values)) or "none",
        "seeds": ", ".join(str(s) for s in sorted({r["seed"] for r in records})),
        "runs": f"{len(records)}, {sum(n['seconds'] for n in notes):.0f} s of training in all",
        "commit": ", ".join(sorted({n["commit"] for n in notes})),
        "versions": ", ".join(versions),
        "devices": ", ".join(sorted({n["device"] for n in notes})),
        "dates": dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        "configuration": json.dumps(shared, sort_keys=True),
    }
    body = "".join(f'<tr><th>{escape(k)}</th><td class="wrap">{escape(v)}</td></tr>' for k, v in lines.items())
    yield f"<table>{body}</table>"
    if len({n["data"] for n in notes}) > 1:
        yield '<p class="missing">The records come from more than one version of the data.</p>'
    yield "".join(f"<p>{escape(note)}</p>" for note in material.sweep.notes)


def counts_of(material: Material) -> list[tuple[str, int]]:
    """Test images of each class; nothing for masks."""
    if material.problem.kind != "classification":
        return []
    return [(name, int((material.targets == k).sum())) for k, name in enumerate(material.class_names)]


def scores(material: Material) -> Iterator[str]:
    words = material.problem.words
    figure = make_figure(material.sweep, material.variants, material.rows, material.test_set)
    yield picture(figure, f"Test {words}; bars and grey band: 95 % intervals over seeds and test sources.", "svg")
    pooled = {(r["variant"], r["value"]): r for r in material.rows
              if r["seed"] == "all" and r["split"] == "test" and r["metric"] == material.problem.score}  # fmt: skip
    body = []
    for variant, value in material.points():
        row = pooled[variant.name, "" if value is None else value]
        interval = f"{number(row['low'])} to {number(row['high'])}"
        seeds = str(len(material.members(variant, value)))
        body.append([variant.name, value_name(value), number(row["score"]), interval, seeds, str(row["n_clusters"])])
    yield table(["arm", material.sweep.parameter, words, "95 % interval", "seeds", "test sources"], body)
    yield ('<p class="note">Two-level bootstrap over seeds and sources. Few seeds are its weak side: with 3 that '
           "differ much, a 95 % interval covers about 73 %, with fewer less.</p>")  # fmt: skip


def differences(material: Material) -> Iterator[str]:
    rows, body = compared(material), []
    for d in rows:
        zero = d["low"] <= 0 <= d["high"]
        few = "" if d["seeds"] >= 6 else f", but {d['seeds']} seeds are too few to show it"
        verdict = "interval includes zero: no difference shown" if zero else f"interval excludes zero{few}"
        each = ", ".join(f"{x:+.3f}" for x in d["per_seed"])
        body.append([f"{d['variant']} − {d['baseline']}", value_name(d["value"]), number(d["difference"], "+.3f"),
                     f"{d['low']:+.3f} to {d['high']:+.3f}", verdict, number(d["p_sign_flip"]), each])  # fmt: skip
    head = [f"difference in {material.problem.words}", material.sweep.parameter, "mean", "95 % interval", "in words"]
    yield table([*head, "p (sign flip over seeds)", "per seed"], body)
    seeds = max((d["seeds"] for d in rows), default=0)
    yield (
        f'<p class="note">Paired over seeds and test images. The sign-flip p of n seeds cannot fall below 2/2ⁿ: '
        f"here {number(2 / 2**seeds, '.3g') if seeds else '–'}; 3 seeds cannot reach p &lt; .05 whatever the effect, "
        f"6 can. {count(len(rows), 'comparison')}, not corrected for their number.</p>"
    )


def every_seed(material: Material) -> Iterator[str]:
    seeds = sorted({r["seed"] for r in material.records})
    recorded = material.records[0]["metrics"]["test"]
    for metric in (*statistics_of(material.problem), *(name for name in BESIDES if name in recorded)):
        body = []
        for variant, value in material.points():
            scores = {r["seed"]: r["metrics"]["test"].get(metric) for r in material.members(variant, value)}
            body.append([variant.name, value_name(value), *(number(scores.get(s)) for s in seeds)])
        yield f"<h3>test {metric.replace('_', ' ')}</h3>"
        yield table(["arm", material.sweep.parameter, *(f"seed {s}" for s in seeds)], body)


def history(material: Material) -> Iterator[str]:
    caption = "Each line is a run, coloured by the swept value. The gap is soft minus hard validation accuracy."
    yield picture(report_parts.history_figure(material), caption)


def sensor(material: Material) -> Iterator[str]:
    for variant in material.variants:
        # A retrained copy has the camera of its source: its pictures would be the same.
        if (
            variant.swept
            and not (variant.source and variant.change is None)
            and any(material.members(variant, x) for x in material.values)
        ):
            light = "linear light, shown sRGB-encoded" if material.linear else "sRGB-encoded values"
            caption = f"{variant.label}: first test image of each class and its reading ({light})."
            yield picture(report_parts.sensor_figure(material, variant), caption)


def saliency(material: Material) -> Iterator[str]:
    caption = (
        "Score of the true class, the first number or the object, lowest seed. One colour scale per method for all "
        "arms and values, cut at the 99th percentile. The gradient (summed over channels) passes the quantiser by its "
        "surrogate."
    )
    yield picture(report_parts.saliency_figure(material), caption)


def learned(material: Material) -> Iterator[str]:
    arms = [v for v in material.variants if v.learned and material.ends([v])]
    if not arms:
        yield "<p>No arm of this sweep learns a physical parameter.</p>"
    for variant in arms:
        yield f"<h3>{escape(variant.label)}</h3>"
        yield from learned_arm(material, variant)


def learned_arm(material: Material, variant: Variant) -> Iterator[str]:
    sensitivity, body, maps = {}, [], {}
    for _, value in material.ends([variant]):
        try:
            sensitivity[value] = parameter_sensitivity(material, variant, value)
        except Exception as error:  # the maps come from the records alone and can do without
            yield f'<p class="missing">Sensitivity at {value_name(value)} is missing: {escape(reason(error))}</p>'
    for value in material.values:
        members = [(r["seed"], learned_quantities(r)) for r in material.members(variant, value)]
        for name in dict.fromkeys(name for _, found in members for name in found):
            if is_map(members[0][1][name][0]):
                maps.setdefault(name, []).append([value_name(value), *agreement(material, variant, value, name)])
                continue
            for seed, found in members:
                gradient = sensitivity.get(value, {}).get(name) if seed == members[0][0] else None
                body.append([name, value_name(value), str(seed), listed(found[name][0]), found[name][1],
                             "" if gradient is None else listed(gradient)])  # fmt: skip
    for name, lines in maps.items():
        yield picture(
            report_parts.map_figure(material, variant, name, sensitivity),
            f"{name} of each seed and the mean over seeds (mean over channels); sensitivity: mean size of the "
            "gradient of the true class's score, lowest seed.",
        )
        yield table([material.sweep.parameter, "seeds", f"correlation of {name} between seeds", "of its change"], lines)
    if body:
        head = ["quantity", material.sweep.parameter, "seed", "per channel", "unit", "mean |∂score/∂value|"]
        yield table(head, body)


def exported(material: Material) -> Iterator[str]:
    yield '<p class="note">Maps are cut to shape and range here; records/ holds them in full.</p>'
    for variant, value in material.points():
        for record in material.members(variant, value):
            text = json.dumps(brief(record["camera"]), indent=1, ensure_ascii=False)
            title = f"{material.name(variant, value).replace(chr(10), ', ')}, seed {record['seed']}"
            yield f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def audit(material: Material) -> Iterator[str]:
    body = []
    for record in material.records:
        # A frozen camera is not meant to move.
        frozen = [name for name, state in record["audit"]["gradient"].items() if state == "frozen"]
        found = [n for n in record["notes"] if not n.startswith(tuple(f"{name} did not move" for name in frozen))]
        still = [name for name, entry in record["audit"]["moved"].items() if not entry["moved"]]
        found += [f"{name} did not move" for name in still if name not in " ".join(record["notes"])]
        found += control_notes(material, record)
        body += [[record["variant"], value_name(record["value"]), str(record["seed"]), note] for note in found]
    yield (table(["arm", material.sweep.parameter, "seed", "note"], body) if body else "<p>Nothing to report.</p>")


Section = Callable[[Material], Iterator[str]]
SECTIONS: tuple[tuple[str, Section], ...] = (
    ("Scores", scores),
    ("Paired differences", differences),
    ("Every seed", every_seed),
    ("Training history", history),
    ("What the sensor sees", sensor),
    ("Saliency", saliency),
    ("What the network makes of it", report_problems.features),
    ("Learned parameters", learned),
    ("Exported parameters", exported),
    ("Audit", audit),
    ("Provenance", provenance),
)
OF_THE_PROBLEM: dict[str, tuple[tuple[str, Section], ...]] = {  # they stand behind the scores of every seed
    "classification": (
        ("Confusion matrices", report_problems.confusion),
        ("ROC curves", report_problems.ranking),
        ("Calibration", report_problems.calibration),
        ("Most confident mistakes", report_problems.mistakes),
    ),
    "regression": (("Agreement with the truth", report_problems.agreement),),
    "segmentation": (("Overlap", report_problems.overlap), ("Worst images", report_problems.worst)),
}
