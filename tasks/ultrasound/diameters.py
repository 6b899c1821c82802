"""Images with two diameters each: what the loaders give, and the crop, reduction and checks that they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from physlayer.pixels.area_sampling import coverage
from physlayer.tasks.tables import some

__all__ = ["DiameterImages", "reduce_images", "require_diameters", "require_seen"]


@dataclass(frozen=True, eq=False)
class DiameterImages:
    """Images with a horizontal and a vertical diameter each.

    Attributes:
        images: (N, C, H, W) float32, 0…1 of full scale.
        targets: (N, 2) float32, horizontal and vertical diameter, mm.
        groups: (N,) str, the patient of each image, or the image itself where none is known.
        extent_mm: (N, 2) float32, width and height of what an image shows, mm; ``None`` if the size of a pixel is
            unknown.
        notes: what a report must say about the data.
    """

    images: Tensor
    targets: Tensor
    groups: np.ndarray
    extent_mm: Tensor | None
    notes: tuple[str, ...]

    def fractions(self) -> Tensor:
        """Diameters as shares of the image's width and height, (N, 2): all that can be seen without a scale.

        A prediction in shares times :attr:`extent_mm` is one in millimetres.

        Raises:
            ValueError: if the size of a pixel is unknown.

        Example:
            >>> mm = [torch.tensor([[80.0, 60.0]]), torch.tensor([[100.0, 75.0]])]
            >>> DiameterImages(torch.zeros(1, 1, 4, 4), mm[0], np.array(["a"]), mm[1], ()).fractions()
            tensor([[0.8000, 0.8000]])
        """
        if self.extent_mm is None:
            raise ValueError("Expected the size of a pixel to be known, but got none; load with pixel_mm.")
        return self.targets / self.extent_mm


def reduce_images(images: Tensor, size: int | tuple[int, int] | None, crop: float) -> tuple[Tensor, tuple[int, int]]:
    r"""Cut off the border, then average over areas: :math:`y = \frac{1}{|A|} \int_A x`, exact for any ratio.

    Args:
        images: (N, C, H, W), floating. size: rows and columns of the result, no more than are left, or columns alone,
            with rows of the same size; ``None`` keeps.
        crop: share of either side that is cut off, half of it at each end, to whole pixels.

    Returns:
        The images, and the rows and columns that the crop left.

    Raises:
        ValueError: if the crop is not in 0…0.9, or more pixels are wanted than there are.

    Example:
        >>> reduce_images(torch.arange(16.0).view(1, 1, 4, 4), (1, 1), 0.5)
        (tensor([[[[7.5000]]]]), (2, 2))
    """
    if not 0 <= crop <= 0.9:
        raise ValueError(f"Expected crop to be a share in 0…0.9, but got {crop}.")
    margins = [round(side * crop / 2) for side in images.shape[2:]]
    (top, left), (height, width) = margins, images.shape[2:]
    images = images[..., top : height - top, left : width - left]
    left_over = tuple(images.shape[2:])
    if isinstance(size, int):
        size = (max(1, round(left_over[0] * size / left_over[1])), size)
    if size is None or tuple(size) == left_over:
        return images, left_over
    shares = []
    for wanted, there in zip(size, left_over, strict=True):
        if isinstance(wanted, bool) or int(wanted) != wanted or not 1 <= wanted <= there:
            raise ValueError(
                f"Expected size to be whole and at most {left_over[0]}×{left_over[1]}, what the crop leaves, but got "
                f"{size}; a smaller one (--width {left_over[1]}) averages over areas, a larger one would invent pixels."
            )
        edges = torch.linspace(0, there, int(wanted) + 1, dtype=torch.float64)
        shares.append((coverage(edges[:-1], edges[1:], there) * (wanted / there)).to(images.dtype))
    return shares[0] @ images @ shares[1].T, left_over


def require_diameters(numbers: np.ndarray, names: list[str], unit: str) -> None:
    """Refuse labels that are no lengths, by name.

    Raises:
        ValueError: if a number is not finite or not above 0.
    """
    wrong = [name for name, row in zip(names, numbers, strict=True) if not (np.isfinite(row).all() and (row > 0).all())]
    if wrong:
        raise ValueError(
            f"Expected every label to be a finite number of {unit} above 0, but got NaN, infinity, 0 or less in "
            f"{some(wrong)}; correct it or leave it out."
        )


def require_seen(targets: Tensor, extent: Tensor, names: list[str]) -> None:
    """Refuse a diameter larger than the picture: a label in another unit, or of another file.

    Raises:
        ValueError: if one is more than 5 % larger.
    """
    wide = (targets > 1.05 * extent).any(1)
    if bool(wide.any()):
        first = int(wide.nonzero()[0])
        image, label = (" × ".join(f"{side:.4g}" for side in values[first].tolist()) for values in (extent, targets))
        raise ValueError(
            f"Expected diameters to fit into the image of {image} mm, but got {label} mm in {names[first]} "
            f"({int(wide.sum())} of {len(names)} images); check the unit and the size of a pixel."
        )
