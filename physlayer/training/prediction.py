"""What a trained model answers, over mirrored views and noisy exposures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.core.camera import physical_layers
from physlayer.core.modes import evaluating
from physlayer.core.randomness import noise_draw
from physlayer.data.image_set import ImageSet

__all__ = ["predict", "predict_exposures"]


DRAWS = 5  # exposures of every image over which noisy hardware is judged


def predict(
    model: nn.Module,
    images: ImageSet,
    *,
    linear: bool = True,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    views: tuple[tuple[int, ...], ...] = ((),),
    draw: int = 0,
) -> Tensor:
    """Outputs of the hard reading, logits ``(N, K)`` for classes, on the CPU, in the order of the set.

    Args:
        device: where to compute; ``None`` for where the model is.
        views: test-time augmentation: axes to flip the scene along, one tuple per view; logits are averaged.
            ``((), (2,), (3,), (2, 3))`` averages the four mirror images.
        draw: number of the exposure, of which noisy hardware gives another reading each (:mod:`.randomness`).

    Example:
        >>> import numpy as np
        >>> images = ImageSet(torch.rand(5, 1, 4, 4), torch.zeros(5).long(), np.array(list("abcde")), "linear")
        >>> predict(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), images).shape
        torch.Size([5, 2])
    """
    if device is None:
        device = next((p.device for p in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    model.to(device)
    logits = []
    with evaluating(model), torch.inference_mode():
        for index in torch.arange(len(images)).split(batch_size):
            batch = images.batch(index, linear=linear).to(device)
            with noise_draw(model, draw, first=int(index[0])):
                seen = [model(batch.flip(axes) if axes else batch) for axes in views]
            logits.append(torch.stack(seen).mean(0).float().cpu())
    return torch.cat(logits)


def predict_exposures(
    model: nn.Module,
    images: ImageSet,
    *,
    most: int = DRAWS,
    linear: bool = True,
    device: str | torch.device | None = None,
) -> Tensor:
    """Logits of every exposure by which a model is judged, ``(D, N, K)``: ``most`` of noisy hardware, else one.

    To average them would be a camera with as many times the photons: judge each, then average the scores.

    Example:
        >>> import numpy as np
        >>> from physlayer import Sensor
        >>> images = ImageSet(torch.rand(5, 1, 4, 4), torch.zeros(5).long(), np.array(list("abcde")), "linear")
        >>> predict_exposures(nn.Sequential(Sensor(), nn.Flatten(), nn.Linear(16, 2)), images).shape
        torch.Size([5, 5, 2])
    """
    draws = most if any(layer.noisy for _, layer in physical_layers(model)) else 1
    return torch.stack([predict(model, images, linear=linear, device=device, draw=draw) for draw in range(draws)])
