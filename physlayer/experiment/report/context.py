"""What every section of a report is given: the records of a sweep by arm, value and seed, their models, the images."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.data.image_set import ImageSet
from physlayer.experiment.problem_info import ProblemInfo
from physlayer.experiment.record import Record, TestSet
from physlayer.experiment.report.rebuild import data_of, rebuild_model
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import SummaryRow

__all__ = ["ReportContext"]

MOST_EXAMPLES = 6  # classes shown as images


@dataclass
class ReportContext:
    """All that the sections of a report draw from.

    Args:
        sweep: what was run. variants: its arms. records: of all runs. rows: as in ``summary.csv``.
        test_set: problem, targets and groups of the test images. out: output folder, with ``models/`` and ``logits/``.
        settings: ``{"options": …}`` of the task, from which its data can be loaded again.
    """

    sweep: Sweep
    variants: Sequence[Variant]
    records: Sequence[Record]
    rows: Sequence[SummaryRow]
    test_set: TestSet
    out: Path
    settings: dict[str, Any]
    _models: dict[str, nn.Sequential] = field(default_factory=dict, init=False, repr=False)

    @functools.cached_property
    def values(self) -> list[float]:
        """The swept values, ascending."""
        return sorted({r.value for r in self.records if r.value is not None})

    @property
    def problem(self) -> ProblemInfo:
        """What the network was asked."""
        return self.test_set.problem

    @functools.cached_property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the targets."""
        return list(self.problem.class_names)

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """Class of each test image, ``(N,)``, or its numbers, ``(N, K)``; 0 where it has a mask."""
        return np.array(self.test_set.targets)

    def members(self, variant: Variant, value: float | None) -> list[Record]:
        """Records of an arm at a value, by seed."""
        own = [r for r in self.records if r.variant == variant.name and r.value == value]
        return sorted(own, key=lambda r: r.seed)

    def ends(self, variants: Sequence[Variant] | None = None) -> list[tuple[Variant, float | None]]:
        """Arms at their lowest and highest value, those that have records."""
        ends = sorted({self.values[0], self.values[-1]}) if self.values else []
        points = [(v, x) for v in variants or self.variants for x in (ends if v.swept else [None])]
        return [(v, x) for v, x in points if self.members(v, x)]

    def points(self, variants: Sequence[Variant] | None = None) -> list[tuple[Variant, float | None]]:
        """Every arm and value that has records."""
        found = itertools.product(variants or self.variants, [*self.values, None])
        return [(v, x) for v, x in found if self.members(v, x)]

    def name(self, variant: Variant, value: float | None) -> str:
        """Short name of a point, for a panel."""
        arm = variant.name.replace("_retrained", "\nretrained")
        return arm if value is None else f"{arm}\n{self.sweep.parameter} {value:g}"

    def title(self, variant: Variant, value: float | None) -> str:
        """Short name of a point, for a heading."""
        return self.name(variant, value).replace("\n", ", ")

    @functools.cached_property
    def test_images(self) -> ImageSet:
        """The test images that every record was judged on.

        Raises:
            ValueError: if the data is no longer that of the records.
        """
        return data_of(self.records[0], self.settings).test

    def metrics(self, variant: Variant, value: float | None) -> list[dict[str, Any]]:
        """Test metrics of an arm at a value, by seed."""
        return [record.metrics["test"] for record in self.members(variant, value)]

    def predictions(self, record: Record) -> np.ndarray:
        """Predicted class of every test image of a record, ``(N,)``, or its numbers, ``(N, K)``.

        Raises:
            ValueError: if the record holds none, as of masks.
        """
        if record.predictions is None:
            raise ValueError(
                f"Expected record {record.key} to hold predictions, but got none; masks follow from `outputs`."
            )
        return np.array(record.predictions["test"])

    def probabilities(self, record: Record) -> np.ndarray:
        """Test probabilities ``(N, K)`` of a record.

        Raises:
            OSError: if ``logits/`` lacks the file.
        """
        return torch.softmax(self.outputs(record).double(), 1).numpy()

    def outputs(self, record: Record) -> Tensor:
        """What the network of a record gave for the test images, on their first exposure.

        Raises:
            OSError: if ``logits/`` lacks the file.
        """
        logits: Tensor = torch.load(self.out / "logits" / f"{record.key}.pt", weights_only=True)
        return logits

    def model(self, variant: Variant, record: Record) -> nn.Sequential:
        """As :func:`rebuild_model`, once per record."""
        if record.key not in self._models:
            self._models[record.key] = rebuild_model(self.sweep, variant, record, self.out, self.settings)
        return self._models[record.key]

    def examples(self, per_class: int = 1) -> tuple[Tensor, Tensor]:
        """First test images of each class as the scene the sensor gets, ``(B, C, H, W)``, and their class.

        Without classes the first images of as many groups, and the output to explain: the first number, the object.
        """
        test = self.test_images
        if self.problem.kind == "classification":
            classes = list(test.classes)[:MOST_EXAMPLES]
            index = torch.cat([(test.targets == k).nonzero().flatten()[:per_class] for k in classes])
            return test.batch(index, linear=self.linear), test.targets[index]
        firsts = np.unique(test.groups, return_index=True)[1][: MOST_EXAMPLES * per_class]
        index = torch.from_numpy(np.sort(firsts))
        explained = torch.full((len(index),), 0 if self.problem.kind == "regression" else 1)
        return test.batch(index, linear=self.linear), explained

    def example_names(self, targets: Tensor) -> list[str]:
        """What stands beside an example: its class, or its place."""
        if self.problem.kind == "classification":
            return [self.class_names[int(k)] for k in targets]
        return [f"image {place + 1}" for place in range(len(targets))]

    @property
    def linear(self) -> bool:
        """Whether the sensor saw linear light, and not sRGB-encoded values."""
        return self.records[0].config.linear
