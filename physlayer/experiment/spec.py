"""What a sweep is made of: an axis, variants, and the list of runs they give."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Point", "Run", "Sweep", "Variant", "no_layer"]

FORMAT = 1  # raise when a change makes old records incomparable


@dataclass(frozen=True)
class Point:
    """What a variant may look at to build its camera: never the validation or test images.

    Args:
        value: the swept value. shape: ``(C, H, W)`` of the scene.
        quantile: per-channel quantiles of the training scenes, ``quantile(q) -> (C, 1, 1)``, full scale.
        scenes: a fixed sample of the training scenes, ``scenes() -> (N, C, H, W)``, full scale; read, do not write.
        generator: randomness of the camera's start.
    """

    value: float
    shape: tuple[int, int, int]
    quantile: Callable[[float], Tensor]
    scenes: Callable[[], Tensor]
    generator: torch.Generator


def no_layer(point: Point) -> list[nn.Module]:
    """The camera of the arm without one: the network sees the scene itself."""
    return []


@dataclass(frozen=True)
class Variant:
    """One arm of the comparison.

    Args:
        name: as in ``summary.csv`` and ``--variants``. label: as in the figure's legend.
        camera: builds the physical layers for a point (an empty list: no layer).
        learned: the camera has learned parameters; ``--retrain`` then adds a frozen copy with a fresh network.
        candidates: for a searched variant, the settings to try on validation: ``candidates(point)`` gives
            keyword arguments for ``camera``.
        swept: ``False`` for a bound that does not depend on the value (run once per seed).
        source: take the trained camera of this variant, freeze it, and train a fresh network.
        change: what to do to that camera first (shuffle a map), ``change(layers, generator) -> layers``.
        translate: control: shift every training scene at random, circularly, so that position says nothing.
    """

    name: str
    label: str
    camera: Callable[..., list[nn.Module]]
    learned: bool = False
    candidates: Callable[[Point], list[dict]] | None = None
    swept: bool = True
    source: str | None = None
    change: Callable[[list[nn.Module], torch.Generator], list[nn.Module]] | None = None
    translate: bool = False


@dataclass(frozen=True)
class Sweep:
    """A sweep's name, axis and variants.

    Args:
        name: of the script and of the output folder. parameter: column ``parameter``, e.g. ``bits``.
        axis: label of the horizontal axis with its unit. minimum, maximum: admissible values.
        default: values without an option. variants: all arms that exist. chosen: names run by default.
        bound: name of the no-layer arm, always run. whole: values are whole numbers.
        scale: how a range is filled and the axis drawn: ``"linear"``, ``"log"`` or ``"halves"``.
        baseline: name of the arm that others are compared with. notes: sentences for the report.
        unit: of the values, in tables. task: what ``--task`` is without an option.
        tasks: the only ones whose scenes its cameras understand; empty for all.
        measure: numbers of the camera alone to record with the test scores, ``measure(camera, scenes) -> {name:
            number}``, for at most 256 test scenes; names as in ``summary.SCALARS`` go to ``summary.csv``.
    """

    name: str
    parameter: str
    axis: str
    minimum: float
    maximum: float
    default: str
    variants: tuple[Variant, ...]
    chosen: tuple[str, ...]
    bound: str = "none"
    whole: bool = True
    notes: tuple[str, ...] = ()
    scale: str = "linear"
    baseline: str = "fixed"
    unit: str = ""
    task: str = "blood_cells"
    tasks: tuple[str, ...] = ()
    measure: Callable[[nn.Sequential, Tensor], dict[str, float]] | None = None

    def variant(self, name: str) -> Variant:
        """The variant of that name.

        Raises:
            ValueError: if there is none, with the names that exist.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        names = ", ".join(v.name for v in self.variants)
        raise ValueError(f"Expected variants to be among {names}, but got {name!r}.")


def retrained(variant: Variant) -> Variant:
    """Arm 5 of a learned variant: its camera frozen, a fresh network trained behind it."""
    return Variant(
        name=f"{variant.name}_retrained",
        label=f"{variant.label}, frozen, CNN retrained",
        camera=variant.camera,
        source=variant.name,
    )


@dataclass(frozen=True)
class Run:
    """One training: everything that determines its numbers, and the key that follows from it."""

    config: dict
    source_key: str | None = None

    @property
    def key(self) -> str:
        """Readable start, then a hash of the whole configuration."""
        text = json.dumps(self.config | {"format": FORMAT}, sort_keys=True)
        value = "" if self.config["value"] is None else f"_{self.config['value']:g}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return f"{self.config['variant']}{value}_seed{self.config['seed']}_{digest}"


def make_runs(sweep: Sweep, variants: list[Variant], values: list[float], seeds: list[int], shared: dict) -> list[Run]:
    """All runs of a grid, dependent ones after those whose camera they take."""
    first: dict[tuple, Run] = {}
    ordered = sorted(variants, key=lambda v: v.source is not None)
    for variant in ordered:
        for value in values if variant.swept else [None]:
            for seed in seeds:
                config = shared | {"sweep": sweep.name, "parameter": sweep.parameter}
                config |= {"variant": variant.name, "value": value, "seed": seed}
                source_key = None
                if variant.source is not None:
                    source = Run(shared | config | {"variant": variant.source}).key
                    source_key = config["source"] = source
                first[variant.name, value, seed] = Run(config, source_key)
    return list(first.values())
