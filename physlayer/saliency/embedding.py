"""What a network makes of an image before it answers: features of the last layer, and their t-SNE map."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.core.modes import evaluating
from physlayer.core.randomness import noise_draw

__all__ = ["feature_map", "features_of"]

FEW = 8  # images below which a map of neighbours says nothing


def features_of(model: nn.Module, images: Tensor, *, batch_size: int = 256) -> Tensor:
    """What the last layer of weights is given, ``(N, F)``, in ``eval()``; means over places for maps.

    Args:
        model: camera and network; its last ``nn.Linear``, or else its last convolution, is the layer. images: scenes.

    Raises:
        ValueError: if the model has neither.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 2))
        >>> features_of(network, torch.rand(3, 1, 4, 4)).shape
        torch.Size([3, 5])
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    layers = layers or [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    if not layers:
        raise ValueError("Expected the model to have a linear layer or a convolution, but got neither.")
    seen: list[Tensor] = []
    hook = layers[-1].register_forward_pre_hook(lambda layer, given: seen.append(given[0].detach()))
    try:
        with evaluating(model), torch.no_grad():
            for first in range(0, len(images), batch_size):
                with noise_draw(model, first=first):
                    model(images[first : first + batch_size])
    finally:
        hook.remove()
    return torch.cat([part.mean((2, 3)) if part.ndim == 4 else part.flatten(1) for part in seen]).float()


def feature_map(features: Tensor, *, seed: int = 0) -> np.ndarray:
    """Places of the images in a plane, ``(N, 2)``, by t-SNE: near ones are alike to the network, distances mean little.

    Raises:
        ValueError: for fewer than eight images, or features that are not finite.

    References:
        van der Maaten, Hinton 2008, Journal of Machine Learning Research 9:2579.

    Example:
        >>> two_heaps = torch.cat([torch.zeros(20, 3), torch.ones(20, 3)]) + 0.01 * torch.rand(40, 3)
        >>> feature_map(two_heaps).shape
        (40, 2)
    """
    from sklearn.manifold import TSNE

    if len(features) < FEW:
        raise ValueError(f"Expected at least {FEW} images for a map, but got {len(features)}.")
    if not bool(torch.isfinite(features).all()):
        raise ValueError("Expected finite features, but got NaN or infinity; has the run diverged?")
    values = features.double().numpy()
    values = (values - values.mean(0)) / np.maximum(values.std(0), 1e-9)
    start = "pca" if values.shape[1] > 1 else "random"
    perplexity = min(30.0, (len(values) - 1) / 3)
    return TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(values)
