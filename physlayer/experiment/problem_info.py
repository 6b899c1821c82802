"""What a sweep's problem is, as its output folder says it: the score's name, label, unit and direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from physlayer.data.image_set import TaskData

__all__ = ["ProblemInfo", "problem_description", "read_problem"]

STORED = {"baseline_score": "constant", "baseline_name": "blind"}  # names in test_set.json, format 1


@dataclass(frozen=True)
class ProblemInfo:
    """The stored description of a problem.

    Attributes:
        kind, score, label, unit, higher_is_better: as of :class:`.Problem`.
        class_names: of the classes, or of the parts of a mask. names, tolerance: of the numbers.
        baseline_score, baseline_name: score of the best answer that does not look at the image, and its name.
    """

    kind: str = "classification"
    score: str = "accuracy"
    label: str = "test accuracy"
    unit: str = ""
    higher_is_better: bool = True
    class_names: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tolerance: int | float = 0.0
    baseline_score: float = 0.0
    baseline_name: str = "chance"

    @property
    def score_name(self) -> str:
        """The score in words.

        Example:
            >>> ProblemInfo(score="mean_absolute_error").score_name
            'mean absolute error'
        """
        return self.score.replace("_", " ")

    @property
    def scale(self) -> float:
        """Of shares in tables: shown in %."""
        return 1.0 if self.unit else 100.0

    @property
    def shown_unit(self) -> str:
        """The score's unit in tables."""
        return self.unit or "%"

    def as_dict(self) -> dict[str, Any]:
        """As it stands in ``test_set.json``: without the names that the kind has none of."""
        own = ("names", "tolerance") if self.kind == "regression" else ("class_names",)
        shown = ("kind", "score", "label", "unit", "higher_is_better", *own, "baseline_score", "baseline_name")
        stored = {STORED.get(name, name): getattr(self, name) for name in shown}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in stored.items()}


def read_problem(stored: Mapping[str, Any]) -> ProblemInfo:
    """The problem of an output folder, from what ``test_set.json`` says of it.

    Raises:
        msgspec.ValidationError: if a value has the wrong type, naming it.

    Example:
        >>> read_problem({"class_names": ["a", "b"], "constant": 0.5, "blind": "chance"}).baseline_score
        0.5
    """
    import msgspec

    names = {name: attribute for attribute, name in STORED.items()}
    return msgspec.convert({names.get(name, name): value for name, value in stored.items()}, ProblemInfo)


def problem_description(data: TaskData) -> ProblemInfo:
    """The problem of a task's data, with the score of an answer that does not look at the image."""
    score, name = data.problem.blind(data.test.targets, data.pool.targets)
    return read_problem(data.problem.describe() | {"constant": score, "blind": name})
