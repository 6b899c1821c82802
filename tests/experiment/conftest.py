"""A small sweep made without training, for the tests of its figure and of its report."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import BitBudget, BitDepth
from physlayer.core.audit import Movement
from physlayer.core.camera import export_camera
from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment import Sweep, Variant, runner
from physlayer.experiment.build import assemble, point_of
from physlayer.experiment.problem_info import problem_description
from physlayer.experiment.record import Audit, Epoch, Provenance, Record, TestSet, Trial
from physlayer.experiment.records import camera_export
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.run import Run, make_runs
from physlayer.experiment.spec import retrained
from physlayer.experiment.summary import SummaryRow, summary_rows
from physlayer.metrics.classification import classification_metrics
from physlayer.tasks.base import get_task
from physlayer.training.prediction import predict

SHAPE, VALUES, SEEDS, NAMES = (3, 16, 16), (1, 4), (0, 1), ("round", "lobed", "long", '<b>&"')
SETTINGS = {"options": None, "device": "cpu"}


def channels(point):
    return [BitDepth(point.value, gain=nn.Parameter(torch.ones(3, 1, 1)), offset=nn.Parameter(torch.zeros(3, 1, 1)))]


def map_of_bits(point):
    demand = point.value + torch.rand(1, 16, 16, generator=point.generator)
    return [BitBudget(nn.Parameter(demand), mean_bits=point.value)]


def span(point, *, high):
    return [BitDepth(point.value, gain=(1 / point.quantile(high)).clamp(max=9))]


def invert(camera, generator):
    with torch.no_grad():
        camera[0].free_parameter("bits").neg_()
    return camera


SWEEP = Sweep(
    name="bits_test", parameter="bits", axis="bits per sample", minimum=1, maximum=8, default="1,4",
    variants=(
        Variant("fixed", "fixed", lambda point: [BitDepth(point.value)]),
        Variant("tuned", "tuned", span, candidates=lambda point: [{"high": 0.5}, {"high": 0.9}]),
        Variant("learned", "learned", channels, learned=True),
        Variant("bit_budget", "bits per pixel", map_of_bits, learned=True),
        Variant("bit_inverse", "inverted", map_of_bits, camera_from="bit_budget", change=invert),
        Variant("none", "no layer", lambda point: [], swept=False),
    ),
    chosen=("fixed", "learned"),
)  # fmt: skip


@dataclass(frozen=True)
class SmallSweep:
    """Every arm of a sweep over bits, of networks that were not trained, with its files; do not write to it."""

    sweep: Sweep
    variants: list[Variant]
    values: tuple[int, ...]
    data: TaskData
    out: Path
    records: list[Record]
    rows: list[SummaryRow]
    test_set: TestSet

    def arms(self, *names: str) -> tuple[list[Variant], list[Record]]:
        """Some of the arms, and their records."""
        return [v for v in self.variants if v.name in names], [r for r in self.records if r.variant in names]

    def context(self) -> ReportContext:
        return ReportContext(
            self.sweep, self.variants, self.records, self.rows, self.test_set, self.out, SETTINGS
        )  # fmt: skip


@contextmanager
def one_thread_at_a_time() -> Iterator[None]:
    """Two threads on a busy machine wait for each other: seconds for tiny images."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def one_thread():
    with one_thread_at_a_time():
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> SmallSweep:
    out, data, variants = tmp_path_factory.mktemp("sweep"), tiny_data(), [*SWEEP.variants, retrained(SWEEP.variants[2])]
    shared = {"task": "blood_cells", "data": data.fingerprint, "network": "small"}
    runs = make_runs(SWEEP, variants, VALUES, SEEDS, shared | {"recipe": {"epochs": 2, "linear": True}})
    named = {v.name: v for v in variants}
    with one_thread_at_a_time():
        records = [make_record(out, named[run.variant], run, data) for run in runs]
    records.sort(key=lambda record: [v.name for v in variants].index(record.variant))
    test_set = TestSet(
        data.fingerprint, problem_description(data), data.notes, "Blood cells", data.test.targets.tolist(),
        data.test.groups.tolist(), [],
    )  # fmt: skip
    return SmallSweep(SWEEP, variants, VALUES, data, out, records, summary_rows(records, test_set), test_set)


@pytest.fixture
def tiny_task(monkeypatch, made):
    """The data are there."""
    monkeypatch.setattr(runner, "task_data", lambda task, options: made.data)
    return SETTINGS


@pytest.fixture
def lost_task(monkeypatch):
    """The data are gone."""

    def no_data(task, options):
        raise ValueError("Expected --data to be a folder, but got nothing.")

    monkeypatch.setattr(runner, "task_data", no_data)
    return SETTINGS


def tiny_data() -> TaskData:
    generator = torch.Generator().manual_seed(0)
    sets = []
    for part in ("pool", "test"):
        images = torch.rand(32, *SHAPE, generator=generator)
        groups = np.array([f"{part}{i // 2}" for i in range(32)])
        sets.append(ImageSet(images, torch.arange(32) // 2 % 4, groups, "linear"))
    return TaskData("blood_cells", NAMES, *sets, "f" * 64, ("Random pixels.",))


def make_record(out: Path, variant: Variant, run: Run, data: TaskData) -> Record:
    """A record as the engine writes it, of an untrained network, with its files."""
    point = point_of(run, data)
    search = (Trial({"high": 0.5}, 0.3), Trial({"high": 0.9}, 0.4)) if variant.candidates else ()
    torch.manual_seed(run.seed)
    layers = variant.camera(point, **(search[1].candidate if search else {}))
    if variant.change:
        layers = variant.change(layers, point.generator)
    model = assemble(get_task("blood_cells"), run, layers, data).eval()
    logits = predict(model, data.test)
    runner.save_models(out, run.key, model, logits)
    probabilities = torch.softmax(logits.double(), 1).numpy()
    metrics = classification_metrics(data.test.targets.numpy(), probabilities, class_names=NAMES)
    moved = {"0.gain": Movement(1.0, 1.0, 0.0, "1", False)} if variant.name == "learned" else {}
    return Record.of(
        run,
        provenance=Provenance("abc", {"torch": "2"}, "2026-01-02", data.fingerprint, 1.0, "cpu"),
        history=tuple(Epoch(e, 1 / e, validation_hard=0.3, validation_loss=1.2 / e, gap=0.0) for e in (1, 2)),
        best_epoch=2,
        search=search,
        metrics={"validation": metrics, "test": metrics},
        predictions={"test": logits.argmax(1).tolist()},
        camera=camera_export(export_camera(model, SHAPE, full=True)),
        audit=Audit({}, moved),
        notes=(),
    )
