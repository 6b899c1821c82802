"""Conditions to train and to test at: what was set, to which value, in which unit, and the camera that does it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

__all__ = ["Level", "crossed", "make_levels"]


@dataclass(frozen=True)
class Level:
    """One condition to train or test at: what was set, to which value, in which unit, and the camera that does it.

    Args:
        settings: ``(quantity, value, unit)``, one or several; none is the clean scene.
        camera: makes the modules in front of the network, afresh at every call.

    Example:
        >>> Level().label, Level((("exposure", 100, "photons"),)).label, Level((("contrast", 0.5, "1"),)).label
        ('clean', '100 photons', 'contrast 0.5')
    """

    settings: tuple[tuple[str, float, str], ...] = ()
    camera: Callable[[], list[nn.Module]] = list

    @property
    def label(self) -> str:
        """The value with its unit, ``"100 photons"``; with the quantity where it would not be clear without."""
        named = len(self.settings) > 1
        parts = [
            " ".join(([quantity] if named or unit == "1" else []) + [f"{value:g}"] + ([] if unit == "1" else [unit]))
            for quantity, value, unit in self.settings
        ]
        return ", ".join(parts) or "clean"


def make_levels(
    quantity: str, values: Sequence[float], unit: str, camera: Callable[[float], nn.Module | list[nn.Module]]
) -> list[Level]:
    """A level for each value of one quantity.

    Args:
        quantity: its name. values: in ``unit``; ``"1"`` for a ratio. camera: layer or list of modules for a value: a
            layer's class, or ``lambda value: [GaussianNoise(value), denoiser()]``.

    Example:
        >>> from physlayer import GaussianNoise
        >>> levels = make_levels("noise", (0.1, 0.2), "full scale", GaussianNoise)
        >>> levels[1].label, levels[1].camera()
        ('0.2 full scale', [GaussianNoise(noise_seed=0, noise_rms=0.2 full scale (fixed))])
    """
    return [Level(((quantity, value, unit),), functools.partial(_built, camera, value)) for value in values]


def crossed(*axes: Sequence[Level]) -> list[Level]:
    """Every combination of the levels of several axes; light meets the camera of the first axis first.

    Example:
        >>> from physlayer import PhotonNoise, PixelBinning
        >>> sizes, light = make_levels("pixel", (1, 2), "px", PixelBinning), make_levels("light", (9,), "photons", PhotonNoise)
        >>> [level.label for level in crossed(sizes, light)]
        ['pixel 1 px, light 9 photons', 'pixel 2 px, light 9 photons']
    """  # noqa: E501
    return [
        Level(tuple(s for level in group for s in level.settings), functools.partial(_chained, group))
        for group in itertools.product(*axes)
    ]


def _built(camera: Callable, value: float) -> list[nn.Module]:
    made = camera(value)
    return [made] if isinstance(made, nn.Module) else list(made)


def _chained(group: tuple[Level, ...]) -> list[nn.Module]:
    return [module for level in group for module in level.camera()]
