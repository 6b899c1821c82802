"""Whether a map shows what the network learned: the same map with the network's weights drawn anew."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from physlayer.core.validation import check_images
from physlayer.saliency.attribution import evaluation, output_weights
from physlayer.saliency.maps import saliency
from physlayer.saliency.model_parts import split_at

__all__ = ["randomisation_check", "rank_correlation"]


def randomisation_check(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | int | None = None,
    method: str = "gradient",
    *,
    generator: torch.Generator,
    wrt: str = "scene",
    reading_layers: int | nn.Module | None = None,
    layer: nn.Module | None = None,
) -> float:
    r"""How much of a map survives when the network forgets what it learned (near 1: the map shows the image).

    .. math:: \rho = \frac1B \sum_b \mathrm{Spearman}\bigl(|m_b|, |m'_b|\bigr)

    with :math:`m'` the map after every weight of the network (not the camera) is drawn anew, He normal with
    zero biases, on a copy. Adebayo 2018, arXiv:1810.03292. Grad-CAM is compared before
    its ReLU, which empties many maps. Constant maps have no rank order and are left out.

    Args:
        model, images, targets, method, wrt, reading_layers, layer: as for :func:`.saliency`.
        generator: draws the new weights, and the noise of ``smooth_gradient`` (the same for both maps).

    Returns:
        Mean rank correlation, -1…1, of maps ``(B, …)``.

    Raises:
        ValueError: as for :func:`.saliency`, or if every map is constant.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
        >>> generator = torch.Generator().manual_seed(0)
        >>> rho = randomisation_check(model, torch.rand(4, 1, 8, 8), 0, generator=generator)
        >>> abs(rho) < 0.6  # the gradient of a linear network is its weights
        True
    """
    check_images(images, "images", full=True)
    with evaluation(model), torch.no_grad():
        targets = output_weights(model(images.clone()), targets)  # the same class and pixels before and after
    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
    forgetful, layer_copy, reading_copy = copy.deepcopy((model, layer, reading_layers))
    _randomise(split_at(forgetful, reading_copy).network_modules, generator)
    maps = []
    for net, target_layer, camera in ((model, layer, reading_layers), (forgetful, layer_copy, reading_copy)):
        settings = {
            "method": method,
            "wrt": wrt,
            "reading_layers": camera,
            "layer": target_layer,
            "relu": False,
        }
        noise = torch.Generator().manual_seed(seed)
        maps.append(saliency(net, images, targets, generator=noise, **settings).detach())
    return rank_correlation(*maps)


def rank_correlation(one: Tensor, two: Tensor) -> float:
    """Mean over images of Spearman's correlation of the sizes of two sets of maps; constant maps are left out.

    Raises:
        ValueError: if every map is constant.

    Example:
        >>> rank_correlation(torch.tensor([[0.0, 1, 2]]), torch.tensor([[0.0, -10, 100]]))
        1.0
    """
    from scipy.stats import spearmanr

    sizes = (maps.abs().flatten(1).cpu().double() for maps in (one, two))
    pairs = [(a, b) for a, b in zip(*sizes, strict=True) if a.min() < a.max() and b.min() < b.max()]
    if not pairs:
        raise ValueError("Expected maps that vary over the image, but got constant ones; use another method.")
    return sum(float(spearmanr(a.numpy(), b.numpy()).statistic) for a, b in pairs) / len(pairs)


def _randomise(modules: list[nn.Module], generator: torch.Generator) -> None:
    """Draw weights He normal, biases 0, other vectors 1, running statistics as at the start, in place."""
    for module in modules:
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim < 2:
                parameter.data.fill_(0.0 if "bias" in name else 1.0)
                continue
            values = torch.randn(parameter.shape, generator=generator, device=generator.device)
            parameter.data.copy_(values * math.sqrt(2 / parameter[0].numel()))
        if hasattr(module, "reset_running_stats"):
            module.reset_running_stats()
