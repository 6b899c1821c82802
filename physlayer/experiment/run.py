"""One run of a sweep: its settings and the key that follows from them; the runs of a grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from physlayer.experiment.spec import Sweep, Variant

__all__ = ["FORMAT", "Run", "make_runs"]

FORMAT = 1  # of the records; raise when a change makes old ones incomparable


@dataclass(frozen=True)
class Run:
    """One training: everything that determines its numbers. It stands in the record as ``config``.

    Args:
        task: its name. data: fingerprint of its images and targets. network: its name.
        recipe: settings of the training, as :class:`.Recipe` takes them.
        sweep, parameter: names of the sweep and of what it sweeps. variant: name of the arm.
        value: of the swept parameter; ``None`` for an arm that does not depend on it. seed: of split, start and order.
        source: key of the run whose trained camera, or whole trained model, this one takes, if it takes one.

    Example:
        >>> Run("digits", "ab12", "small", {"epochs": 1}, "bit_depth", "bits", "learned", 2, 0).key
        'learned_2_seed0_efdea4e2a4'
    """

    task: str
    data: str
    network: str
    recipe: dict[str, Any]
    sweep: str
    parameter: str
    variant: str
    value: int | float | None
    seed: int
    source: str | None = None

    @property
    def key(self) -> str:
        """Readable start, then a hash of all settings."""
        text = json.dumps(self.as_dict() | {"format": FORMAT}, sort_keys=True)
        value = "" if self.value is None else f"_{self.value:g}"
        return f"{self.variant}{value}_seed{self.seed}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def point(self) -> tuple[str, int | float | None]:
        """Arm and value: what the seeds of a point share."""
        return self.variant, self.value

    @property
    def linear(self) -> bool:
        """Whether the camera sees linear light, and not sRGB-encoded values."""
        return bool(self.recipe["linear"])

    def as_dict(self) -> dict[str, Any]:
        """All settings by name, as the record holds them."""
        settings = asdict(self)
        return settings if self.source is not None else {n: s for n, s in settings.items() if n != "source"}


def make_runs(
    sweep: Sweep,
    variants: Sequence[Variant],
    values: Sequence[int | float],
    seeds: Sequence[int],
    shared: dict[str, Any],
) -> list[Run]:
    """All runs of a grid, dependent ones after those whose camera or model they take.

    An arm that trains at one of its values, to be judged at the others, is run at that value whatever was asked for.

    Args:
        shared: ``task``, ``data``, ``network`` and ``recipe`` of all runs.
    """
    runs = []
    for variant in variants:
        for value in _values(variant, values):
            for seed in seeds:
                run = Run(
                    **shared, sweep=sweep.name, parameter=sweep.parameter, variant=variant.name, value=value, seed=seed
                )
                if variant.camera_from is not None:
                    run = replace(run, source=replace(run, variant=variant.camera_from).key)
                if variant.model_from is not None and variant.model_from != run.point:
                    name, trained_at = variant.model_from
                    run = replace(run, source=replace(run, variant=name, value=trained_at).key)
                runs.append(run)
    return sorted(runs, key=lambda run: run.source is not None)


def _values(variant: Variant, values: Sequence[int | float]) -> list[int | float | None]:
    if not variant.swept:
        return [None]
    name, trained_at = variant.model_from or ("", None)
    own = [trained_at] if name == variant.name and trained_at not in values else []
    return [*values, *own]
