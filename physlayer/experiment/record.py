"""What a sweep leaves behind, as types: the record of a run, and the test set that all runs of a folder share."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

from physlayer.core.audit import Movement
from physlayer.experiment.problem_info import ProblemInfo
from physlayer.experiment.run import FORMAT, Run

__all__ = [
    "Audit",
    "CameraExport",
    "Epoch",
    "LayerExport",
    "Provenance",
    "QuantityExport",
    "Record",
    "TestSet",
    "Trial",
    "as_json",
]

Number: TypeAlias = int | float
Answers: TypeAlias = list[int | list[float]]  # per image: its class, or its numbers


@dataclass(frozen=True)
class Provenance:
    """Which code made a record, on what, and when; ``data`` is the fingerprint of images and targets."""

    commit: str
    versions: dict[str, str]
    date: str
    data: str
    seconds: float
    device: str


@dataclass(frozen=True)
class Epoch:
    """One pass over the training set: mean loss; score and loss on validation; score of soft minus hard cameras."""

    epoch: int
    loss: float
    validation_hard: float
    validation_loss: float
    gap: float


@dataclass(frozen=True)
class Trial:
    """A setting that a searched arm tried, as keyword arguments of its camera, and its best validation score."""

    candidate: dict[str, Any]
    validation: float


@dataclass(frozen=True)
class QuantityExport:
    """A physical quantity as the hardware has it: in full as ``value``, or a long map by shape and range.

    ``bounds`` are the lowest and the highest value that it may take, ``None`` for no bound.
    """

    unit: str
    learned: bool
    bounds: tuple[Number | None, Number | None]
    value: bool | Number | list[Any] | None = None
    shape: list[int] | None = None
    minimum: Number | None = None
    mean: Number | None = None
    maximum: Number | None = None


@dataclass(frozen=True)
class LayerExport:
    """A physical layer: its class as ``layer``, its place in the model as ``name``, its quantities and settings."""

    layer: str
    quantities: dict[str, QuantityExport]
    settings: dict[str, Any]
    name: str


@dataclass(frozen=True)
class CameraExport:
    """The camera of a run, as :func:`.export_camera` describes it."""

    layers: tuple[LayerExport, ...]
    cost: dict[str, Number]


@dataclass(frozen=True)
class Audit:
    """Whether gradients arrived at the physical quantities, and how far those went."""

    gradient: dict[str, str]
    moved: dict[str, Movement]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One finished run, as it stands in ``records/<key>.json``.

    Attributes:
        format: version of this description. key: of the run, and name of the file.
        sweep, task, variant, parameter, value, seed: as in ``config``, for readers of the file. config: the run.
        history: one entry per epoch. best_epoch: the epoch that was kept. search: what a searched arm tried.
        metrics: by split (``"validation"``, ``"test"``) and name. predictions: of every image, by split; ``None``
            for masks. scores: of every image, by split, the mean over its exposures; ``None`` where the predictions
            say it. notes: sentences for the report.
    """

    format: int = FORMAT
    key: str
    sweep: str
    task: str
    variant: str
    parameter: str
    value: Number | None
    seed: int
    config: Run
    provenance: Provenance
    history: tuple[Epoch, ...]
    best_epoch: int
    search: tuple[Trial, ...]
    metrics: dict[str, dict[str, Any]]
    predictions: dict[str, Answers] | None = None
    scores: dict[str, list[float]] | None = None
    camera: CameraExport
    audit: Audit
    notes: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, **found: Any) -> Record:
        """The record of a run, with what was found.

        Args:
            found: all fields from ``provenance`` on.
        """
        named = {name: getattr(run, name) for name in SHARED}
        return cls(key=run.key, config=run, **named, **found)

    @property
    def point(self) -> tuple[str, Number | None]:
        """Arm and value: what the seeds of a point share."""
        return self.variant, self.value


SHARED = ("sweep", "task", "variant", "parameter", "value", "seed")  # fields of Record that are those of its run


@dataclass(frozen=True)
class TestSet:
    """What the runs of a folder were judged on, as it stands in ``test_set.json``.

    Attributes:
        fingerprint: of images and targets. problem: what the network was asked. notes: what a report must say.
        title: of figures. targets: class or numbers of every test image, 0 for masks. groups: source image, patient or
            slide of every test image. straddling: groups that are in the pool too.
    """

    __test__ = False  # pytest: no test class

    fingerprint: str
    problem: ProblemInfo
    notes: tuple[str, ...]
    title: str
    targets: Answers
    groups: list[str]
    straddling: list[str]


def as_json(content: Any) -> Any:
    """Dataclasses as dictionaries, ready for ``json.dumps``; an optional field without a value is left out.

    Example:
        >>> as_json(QuantityExport("bit", True, (1.0, None), value=2.0))
        {'unit': 'bit', 'learned': True, 'bounds': [1.0, None], 'value': 2.0}
    """
    if isinstance(content, Run | ProblemInfo):
        return content.as_dict()
    if is_dataclass(content):
        named = {field: getattr(content, field.name) for field in fields(content)}
        return {f.name: as_json(value) for f, value in named.items() if not (value is None and f.default is None)}
    if isinstance(content, dict):
        return {key: as_json(value) for key, value in content.items()}
    return [as_json(entry) for entry in content] if isinstance(content, list | tuple) else content
