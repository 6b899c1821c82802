"""A class for every pixel, as a problem: loss, score and metrics of masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from physlayer.problems.base import all_exposures, described

__all__ = ["Segmentation", "resized"]


class Segmentation:
    r"""A class for every pixel: cross entropy plus soft Dice loss, scored by the Dice of each image.

    .. math:: L = -\overline{\log p_{t}} + 1 - \frac{2 \sum p_1 t + \epsilon}{\sum p_1 + \sum t + \epsilon}, \qquad
        \mathrm{Dice} = \frac{2\,|P \cap T|}{|P| + |T|}

    The score is of class 1 (the object); an image without an object in which none is found scores 1. Maps of another
    size than the mask, of a camera with fewer pixels, are interpolated to it.

    Args:
        class_names: of the pixels; the first is the background.

    Example:
        >>> glands = Segmentation(("stroma", "gland"))
        >>> found = torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]])  # gland everywhere
        >>> glands.score_images(found, torch.tensor([[[1, 0]]], dtype=torch.uint8))
        tensor([0.6667], dtype=torch.float64)
    """

    kind, score, label, unit, higher_is_better = "segmentation", "dice", "Dice of a test image", "", True

    def __init__(self, class_names: tuple[str, ...] = ("background", "object")):
        if len(class_names) != 2:
            raise ValueError(f"Expected class_names to name background and object, but got {class_names}.")
        self.class_names = tuple(class_names)
        self.outputs = 2

    def check(self, targets: Tensor, images: Tensor) -> None:
        """
        Raises:
            ValueError: if targets are no masks of 0 and 1 as large as the images.
        """
        wanted = (len(images), *images.shape[2:])
        if targets.dtype != torch.uint8 or tuple(targets.shape) != wanted:
            raise ValueError(
                f"Expected masks to be uint8 of shape {wanted}, but got {targets.dtype} of {tuple(targets.shape)}."
            )
        if int(targets.max()) > 1:
            raise ValueError(
                f"Expected masks to hold 0 and 1, but got {int(targets.max())}; divide masks of 0 and 255."
            )

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        outputs = resized(outputs, targets)
        entropy = F.cross_entropy(outputs, targets.long(), label_smoothing=label_smoothing)
        share, truth = outputs.softmax(1)[:, 1].flatten(1), targets.flatten(1).to(outputs.dtype)
        both, each = (share * truth).sum(1), share.sum(1) + truth.sum(1)
        return entropy + (1 - (2 * both + 1) / (each + 1)).mean()

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        from physlayer.metrics.segmentation import dice

        return torch.from_numpy(dice(self.masks(outputs, targets), targets.numpy()))

    def masks(self, outputs: Tensor, targets: Tensor) -> np.ndarray:
        """Class of every pixel at the size of the masks."""
        return resized(outputs, targets).argmax(1).numpy()

    def metrics(self, outputs: Tensor, targets: Tensor, groups: np.ndarray) -> dict:
        from physlayer.metrics.segmentation import segmentation_metrics

        outputs, targets, groups = all_exposures(outputs, targets, groups, 4)
        return segmentation_metrics(targets.numpy(), self.masks(outputs, targets), groups)

    def answers(self, outputs: Tensor, targets: Tensor) -> None:
        """Masks are large: the scores say what tables need, and the report has the outputs."""
        return None

    def truth(self, targets: Tensor) -> list[int]:
        """Nothing: masks stay in the data."""
        return [0] * len(targets)

    def blind(self, targets: Tensor, seen: Tensor) -> tuple[float, str]:
        """The object everywhere; or nowhere, where more training images have none."""

        def scores(masks: Tensor) -> dict[str, float]:
            share = masks.double().flatten(1).mean(1)
            everywhere = float((2 * share / (1 + share)).mean())
            return {"object everywhere": everywhere, "no object": float((share == 0).double().mean())}

        on_training = scores(seen)
        words = max(on_training, key=lambda name: on_training[name])
        return scores(targets)[words], words

    def describe(self) -> dict:
        return described(self) | {"class_names": list(self.class_names)}


def resized(outputs: Tensor, targets: Tensor) -> Tensor:
    """Maps at the size of the masks.

    Example:
        >>> resized(torch.zeros(1, 2, 4, 4), torch.zeros(1, 8, 6)).shape
        torch.Size([1, 2, 8, 6])
    """
    if outputs.shape[-2:] == targets.shape[-2:]:
        return outputs
    return F.interpolate(outputs, size=tuple(targets.shape[-2:]), mode="bilinear", align_corners=False)
