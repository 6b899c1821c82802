"""What a sweep's problem is, as its output folder says it: the score's name, label, unit and direction."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Asked", "asked"]


@dataclass(frozen=True)
class Asked:
    """As :class:`.Problem` describes itself; ``class_names`` or ``names`` of the numbers, or none."""

    kind: str = "classification"
    score: str = "accuracy"
    label: str = "test accuracy"
    unit: str = ""
    higher_is_better: bool = True
    class_names: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tolerance: float = 0.0
    constant: float | None = None
    blind: str = ""

    @property
    def words(self) -> str:
        """The score in words.

        Example:
            >>> Asked(score="mean_absolute_error").words
            'mean absolute error'
        """
        return self.score.replace("_", " ")

    @property
    def chance(self) -> tuple[float, str]:
        """Score without looking at the image, and its name on a figure; folders from before had no name for it."""
        if self.blind:
            return self.constant, self.blind
        if self.kind == "classification":
            return 1 / len(self.class_names), "chance"
        return self.constant, "mean of the training set" if self.kind == "regression" else "object everywhere"

    @property
    def scale(self) -> float:
        """Of shares in tables: shown in %."""
        return 1.0 if self.unit else 100.0

    @property
    def shown_unit(self) -> str:
        return self.unit or "%"


def asked(test_set: dict) -> Asked:
    """The problem of an output folder; folders from before problems had names hold classes.

    Example:
        >>> asked({"class_names": ["a", "b"]}).chance
        (0.5, 'chance')
    """
    found = dict(test_set.get("problem") or {"class_names": test_set["class_names"]})
    for name in ("class_names", "names"):
        found[name] = tuple(found.get(name, ()))
    return Asked(**found)
