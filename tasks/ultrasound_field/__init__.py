"""The eyes of the ultrasound task before the transducer: scatterers, for cameras that begin with the array.

Scenes have two channels, the magnitude of the field and its phase in waves, as
:class:`physlayer.TransducerArray` takes them with ``input="polar"``. Real sets hold finished images: there are none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from physlayer.data.image_set import TaskData
from physlayer.tasks.augmentation import mirror
from physlayer.tasks.base import Options, refuse
from physlayer.tasks.ultrasound import Ultrasound

__all__ = ["TASK", "UltrasoundField"]


class UltrasoundField(Ultrasound):
    """The same eyes and diameters, seen before any camera."""

    name = "ultrasound_field"
    sweeps = ("ultrasound_array",)

    def load(self, options: Options) -> TaskData:
        refuse(options, self.name, data="files hold finished images, made by one array")
        return super().load(options)

    def scenes(self, scatterers: Tensor) -> Tensor:
        return scatterers

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mirror images left to right; a field is no picture to turn."""
        return mirror(images, targets, generator, axes=(3,))


TASK = UltrasoundField()
