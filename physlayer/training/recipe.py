"""The settings of a training, checked and saved with every record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from physlayer.core.validation import plain_number

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Everything about training that changes the numbers; saved in every record.

    Args:
        epochs: passes over the (possibly capped) training set.
        batch_size: images per step.
        lr: peak rate of the network (one-cycle, AdamW). lr_physics: of the physical parameters, ten times ``lr``
            unless stated. weight_decay: of the network only.
        images_per_class: images drawn per class and epoch, evenly over sources; ``None`` for every image once.
        validation_per_class: the same for the validation images that choose the epoch (a fixed draw).
        warm_up: epochs in which the physical parameters stay at their start, at most 30 % of all.
        patience: stop after this many epochs without a better validation score; ``None`` never.
        linear: give layers linear light (the physics); ``False`` gives the file's sRGB-encoded values.
        label_smoothing: of the cross entropy. l1: weight of the sum of the network's absolute weights, biases apart, in
            the loss; physical parameters are not drawn to 0. gradient_clip: largest gradient norm.
        average: decay per step of the running mean of all weights, which is what is judged and kept: with few
            sources single epochs jump, and choosing the luckiest jump is noise. 0 for the last step's weights.
    """

    epochs: int = 20
    batch_size: int = 64
    lr: float = 2e-3
    lr_physics: float | None = None
    weight_decay: float = 1e-2
    images_per_class: int | None = None
    validation_per_class: int | None = None
    warm_up: float = 1.0
    patience: int | None = None
    linear: bool = True
    augment: bool = True
    label_smoothing: float = 0.0
    gradient_clip: float = 1.0
    average: float = 0.98
    l1: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "images_per_class", "validation_per_class", "patience"):
            if getattr(self, name) is not None:
                plain_number(name, getattr(self, name), 1, 10**9, whole=True)
        for name, low, high in (
            ("lr", 1e-12, 1e3), ("lr_physics", 0, 1e3), ("weight_decay", 0, 1e3), ("warm_up", 0, 1e3),
            ("label_smoothing", 0, 0.99), ("l1", 0, 1e3), ("average", 0, 0.9999),
            ("gradient_clip", 1e-12, 1e12),
        ):  # fmt: skip
            if getattr(self, name) is not None:
                plain_number(name, getattr(self, name), low, high)

    def as_dict(self) -> dict:
        """All settings, without a penalty of 0: records from before there was one stay what they are."""
        settings = asdict(self)
        return settings if self.l1 else {name: value for name, value in settings.items() if name != "l1"}

    def scaled(self, factor: float) -> Recipe:
        """The same recipe with ``factor`` times the epochs (at least one)."""
        return replace(self, epochs=max(1, round(self.epochs * factor)))
