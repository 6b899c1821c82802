"""How wide and how high is what the ultrasound shows? Two diameters in mm: embedded eyes, or real images.

Embedded: a phantom of the eye in B-mode, from scatterers through a 10 MHz array. Real: a folder of images with
``labels.csv`` (fetal heads of the HC18 set, T. L. A. van den Heuvel et al. 2018, doi:10.5281/zenodo.1322001, CC BY
4.0), or an HDF5 file with ``/images`` and ``/meta``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import group_split
from physlayer.problems.regression import Regression
from physlayer.tasks.augmentation import mirror, small_turn, white_noise
from physlayer.tasks.base import Options, refuse
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "Ultrasound"]

NAMES = ("horizontal", "vertical")
SIZE, FAST_SIZE = 64, 32  # pixels of the phantom
REAL_WIDTH = 80  # pixels of a picture of 400×270, less would blur the skull
POOL, TEST = 800, 300
FAST_POOL, FAST_TEST = 200, 100
POOL_SEED, TEST_SEED = 1, 2  # two seeds share no patient
TEST_FRACTION, SPLIT_SEED = 0.25, 18  # of real sets, the same for everybody
EYE_TOLERANCE_MM, HEAD_TOLERANCE_MM = 0.5, 5.0
EYE_TURN_DEGREES = 2.0  # of an eye, nearly round: changes its diameters by less than a thousandth
HEAD_TURN_DEGREES = 0.5  # of a head, an ellipse that may lie askew: by up to some thousandths
NOISE = 0.03  # full scales


class Ultrasound:
    """The task: eyes by default, a folder or an HDF5 file with ``data``."""

    name = "ultrasound"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``. Real heads are learned as shares of the picture, and judged in mm.

        Raises:
            ValueError: if sources are given apart from the files. As the loaders.
        """
        refuse(
            options, self.name, groups="file names, a column patient or the array /groups tell the patients",
            skip_unreadable="remove the rows of damaged files", drop_straddling="no patient is on both sides",
        )  # fmt: skip
        if options.data is None:
            sets, notes = self._phantom(options)
            problem = Regression.of(sets[0].targets, NAMES, "mm", tolerance=EYE_TOLERANCE_MM)
        else:
            sets, notes, scaled = self._real(options)
            tolerance = HEAD_TOLERANCE_MM if scaled else EYE_TOLERANCE_MM  # a folder holds heads, HDF5 eyes
            problem = Regression.of(sets[0].targets, NAMES, "mm", tolerance=tolerance, scaled=scaled)
        return TaskData(self.name, problem, *sets, fingerprint(*sets), notes)

    def scenes(self, scatterers: Tensor) -> Tensor:
        """What the camera gets of an eye: its B-mode image."""
        from physlayer.tasks.ultrasound.phantom import render

        return render(scatterers).clamp(0, 1)

    def _phantom(self, options: Options) -> tuple[list[ImageSet], tuple[str, ...]]:
        from physlayer.tasks.ultrasound.phantom import make_phantom

        size, sets = (FAST_SIZE if options.fast else SIZE) if options.width is None else options.width, []
        for images, seed in (
            (FAST_POOL if options.fast else POOL, POOL_SEED),
            (FAST_TEST if options.fast else TEST, TEST_SEED),
        ):
            made = make_phantom(images, seed=seed, size=size)
            sets.append(ImageSet(self.scenes(made.scatterers), made.targets, made.groups, "linear"))
        return sets, (f"Embedded phantom of eyes, {size}×{size} pixels of {32 / size:g} mm; sources are patients.",)

    def _real(self, options: Options) -> tuple[list[ImageSet], tuple[str, ...], bool]:
        from physlayer.tasks.ultrasound.loaders import load_folder, load_hdf5

        if Path(options.data).is_file() or Path(options.data).suffix.lower() in (".h5", ".hdf5"):
            found = load_hdf5(options.data, size=options.width)
            targets, scaled = found.targets, False
        else:
            found = load_folder(options.data, size=options.width or REAL_WIDTH)
            targets, scaled = torch.cat([found.fractions(), found.extent_mm], 1), True
        whole = ImageSet(found.images, targets, found.groups, "linear")
        split = group_split(whole.strata, whole.group_codes, TEST_FRACTION, SPLIT_SEED, class_names=("of all images",))
        notes = (f"A fixed {TEST_FRACTION:.0%} of the patients is the test set.", *found.notes)
        return [whole.subset(part) for part in split], notes, scaled

    def network(self, name: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
        """A fresh network by name: ``shared``, or ``branched`` with a branch for each diameter.

        Raises:
            ValueError: if there is none of that name, with the names that exist.
        """
        from physlayer.tasks.number_networks import NETWORKS

        if name not in NETWORKS:
            raise ValueError(f"Expected network to be one of {', '.join(NETWORKS)}, but got {name!r}.")
        return NETWORKS[name](shape, outputs)

    def default_network(self, options: Options) -> str:
        return "shared"

    def recipe(self, options: Options) -> Recipe:
        if options.data is not None:
            return Recipe(epochs=3 if options.fast else 60, lr=4e-3)
        return Recipe(epochs=6 if options.fast else 30, lr=4e-3, batch_size=16 if options.fast else 32)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mirror images left to right, small turns, noise; depth stays depth."""
        images, targets = mirror(images, targets, generator, axes=(3,))
        degrees = HEAD_TURN_DEGREES if targets.shape[1] > len(NAMES) else EYE_TURN_DEGREES  # heads come with a scale
        return white_noise(small_turn(images, generator, degrees), generator, NOISE), targets


TASK = Ultrasound()
