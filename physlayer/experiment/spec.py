"""What a sweep is made of: an axis, variants, and the list of runs they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from physlayer.core.validation import one_of
from physlayer.experiment.axis import SCALES, parse_values

__all__ = ["Point", "Sweep", "Variant", "no_layer", "retrained"]


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
        camera_from: take the trained camera of the variant of this name, freeze it, and train a fresh network.
        change: what to do to that camera first (shuffle a map), ``change(layers, generator) -> layers``.
        translate: control: shift every training scene at random, circularly, so that position says nothing.
        model_from: ``(variant, value)`` of another run: judge its trained network behind the camera of this point,
            without training. What that camera learned goes with the network, what is fixed is that of this point. If
            it names this variant itself, the run at that value is the one that trains.
    """

    name: str
    label: str
    camera: Callable[..., list[nn.Module]]
    learned: bool = False
    candidates: Callable[[Point], list[dict[str, Any]]] | None = None
    swept: bool = True
    camera_from: str | None = None
    change: Callable[[list[nn.Module], torch.Generator], list[nn.Module]] | None = None
    translate: bool = False
    model_from: tuple[str, float | None] | None = None


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

    Raises:
        ValueError: if an arm, the scale or the default is none that exists, or two arms have one name.

    Example:
        >>> arms = (Variant("none", "no layer", no_layer, swept=False), Variant("fixed", "fixed", no_layer))
        >>> Sweep("mine", "bits", "bits", 1, 8, "1..9", arms, ("fixed",))
        Traceback (most recent call last):
        ...
        ValueError: Expected --bits to lie in 1..8, but got 9 in '1..9'.
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

    def __post_init__(self) -> None:
        one_of("scale", self.scale, SCALES)
        if not self.minimum <= self.maximum:
            raise ValueError(
                f"Expected minimum to be at most maximum, but got {self.minimum:g} and {self.maximum:g}; swap them."
            )
        self.values(self.default)
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"Expected variants to have different names, but got {', '.join(names)}; rename one.")
        for name, arm in (
            ("bound", self.bound),
            ("baseline", self.baseline),
            *(("chosen", arm) for arm in self.chosen),
        ):
            one_of(name, arm, names)
        for variant in self.variants:
            self._check_camera_from(variant)
            self._check_model_from(variant)

    def _check_camera_from(self, variant: Variant) -> None:
        """A camera is taken at the same value from an arm that trains it, and every run waits for one other at most."""
        if variant.camera_from is None:
            return
        trained = [v.name for v in self.variants if v.camera_from is None and v.swept == variant.swept]
        one_of(f"camera_from of {variant.name}", variant.camera_from, trained)

    def _check_model_from(self, variant: Variant) -> None:
        """A model is taken from an arm trained once per seed, without a search: at its own value, or at none."""
        if variant.model_from is None:
            return
        plain = [v for v in self.variants if v.camera_from is None and v.candidates is None]
        trained: list[tuple[str, float | None]] = []
        trained += [(v.name, None) for v in plain if not v.swept and v.model_from is None]
        trained += [v.model_from for v in plain if v.swept and v.model_from and v.model_from[0] == v.name]
        if variant.model_from not in trained:
            known = ", ".join(map(str, trained)) or "none"
            raise ValueError(
                f"Expected model_from of {variant.name} to be an arm and the value it is trained at, among {known}, "
                f"but got {variant.model_from}."
            )

    def values(self, text: str) -> list[float]:
        """Values of the axis, ascending, from what stands behind ``--parameter``; see :func:`.parse_values`.

        Raises:
            ValueError: if the text is no range or list of admissible values.
        """
        return parse_values(text, self.parameter, self.minimum, self.maximum, whole=self.whole, scale=self.scale)

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
        swept=variant.swept,
        camera_from=variant.name,
    )
