"""How the arms scored: with intervals, against each other, and seed by seed."""

from __future__ import annotations

from collections.abc import Iterator

from physlayer.experiment.plot_curves import make_figure
from physlayer.experiment.plot_style import count
from physlayer.experiment.report.blocks import Block, Heading, Note, Picture, Table
from physlayer.experiment.report.comparisons import compared
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.formats import number, value_name
from physlayer.experiment.report.registry import section
from physlayer.experiment.robustness.plots import sweep_matrix
from physlayer.experiment.summary import statistics_of

__all__ = ["differences_section", "every_seed_section", "scores_section"]

# Shown where they are recorded.
BESIDES = ("binary_accuracy", "balanced_binary_accuracy", "within_tolerance", "jaccard")


@section("Scores", place=10)
def scores_section(context: ReportContext) -> Iterator[Block]:
    words = context.problem.score_name
    figure = make_figure(context.sweep, context.variants, context.rows, context.test_set)
    yield Picture(figure, f"Test {words}; bars and grey band: 95 % intervals over seeds and test sources.", "svg")
    if any(variant.model_from is not None for variant in context.variants):
        matrix = sweep_matrix(context.sweep, context.variants, context.rows, context.test_set)
        yield Picture(matrix, f"Test {words}: a row for each trained network, a column for each value it is judged at.")
    score = context.problem.score
    pooled = {row.point: row for row in context.rows if row.pooled and row.split == "test" and row.metric == score}
    body = []
    for variant, value in context.points():
        row = pooled[variant.name, value]
        interval = f"{number(row.low)} to {number(row.high)}"
        seeds = str(len(context.members(variant, value)))
        body.append([variant.name, value_name(value), number(row.score), interval, seeds, str(row.n_groups)])
    yield Table(["arm", context.sweep.parameter, words, "95 % interval", "seeds", "test sources"], body)
    yield Note(
        "Two-level bootstrap over seeds and sources. Few seeds are its weak side: with 3 that differ much, a 95 % "
        "interval covers about 73 %, with fewer less."
    )


@section("Paired differences", place=20)
def differences_section(context: ReportContext) -> Iterator[Block]:
    rows, body = compared(context), []
    for d in rows:
        zero = d.low <= 0 <= d.high
        few = "" if d.seeds >= 6 else f", but {d.seeds} seeds are too few to show it"
        verdict = "interval includes zero: no difference shown" if zero else f"interval excludes zero{few}"
        each = ", ".join(f"{x:+.3f}" for x in d.per_seed)
        body.append([f"{d.variant} − {d.baseline}", value_name(d.value), number(d.difference, "+.3f"),
                     f"{d.low:+.3f} to {d.high:+.3f}", verdict, number(d.p_sign_flip), each])  # fmt: skip
    head = [f"difference in {context.problem.score_name}", context.sweep.parameter, "mean", "95 % interval", "in words"]
    yield Table([*head, "p (sign flip over seeds)", "per seed"], body)
    seeds = max((d.seeds for d in rows), default=0)
    yield Note(
        "Paired over seeds and test images. The sign-flip p of n seeds cannot fall below 2/2ⁿ: here "
        f"{number(2 / 2**seeds, '.3g') if seeds else '–'}; 3 seeds cannot reach p < .05 whatever the effect, 6 can. "
        f"{count(len(rows), 'comparison')}, not corrected for their number."
    )


@section("Every seed", place=30)
def every_seed_section(context: ReportContext) -> Iterator[Block]:
    seeds = sorted({r.seed for r in context.records})
    recorded = context.records[0].metrics["test"]
    for metric in (*statistics_of(context.problem), *(name for name in BESIDES if name in recorded)):
        body = []
        for variant, value in context.points():
            scores = {r.seed: r.metrics["test"].get(metric) for r in context.members(variant, value)}
            body.append([variant.name, value_name(value), *(number(scores.get(s)) for s in seeds)])
        yield Heading(f"test {metric.replace('_', ' ')}")
        yield Table(["arm", context.sweep.parameter, *(f"seed {s}" for s in seeds)], body)
