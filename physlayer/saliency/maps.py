"""Where a decision comes from: maps over the scene, the sensor reading or the physical parameters.

Maps are signed and never rescaled, so one colour scale serves a whole sweep. Everything runs in ``eval()``,
where the camera is the hardware exactly: **through a hard quantiser the gradient is that of the layer's
documented surrogate** (often a straight-through 1), not a derivative of the staircase.
``wrt="reading"`` starts behind the quantiser and needs no surrogate.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from physlayer.core.validation import check_images
from physlayer.saliency.attribution import (
    GuidedReLU,
    convolution,
    evaluation,
    grad_cam,
    gradient,
    integrated_gradients,
    leaves_of,
    output_weights,
    quantities,
    randomise,
    smooth_gradient,
    split_at,
    weighted,
)

__all__ = ["METHODS", "parameter_saliency", "randomisation_check", "rank_correlation", "saliency"]

METHODS = ("gradient", "guided_backpropagation", "grad_cam", "integrated_gradients", "smooth_gradient")


def saliency(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | int | None = None,
    *,
    method: str = "gradient",
    wrt: str = "scene",
    reading_layers: int | nn.Module | None = None,
    layer: nn.Module | None = None,
    relu: bool = True,
    upsample: bool = True,
    steps: int = 50,
    samples: int = 25,
    noise: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Map of what the score :math:`s` of each image depends on, signed and unnormalised.

    ========================== =========================================================================
    ``gradient``               :math:`\partial s/\partial x` (Simonyan 2013, arXiv:1312.6034)
    ``guided_backpropagation`` the same with negative gradients dropped at every ReLU of the network
                               (Springenberg 2014, arXiv:1412.6806); see :func:`randomisation_check`
    ``grad_cam``               :math:`[\sum_k \alpha_k A_k]_+`, :math:`\alpha_k` = mean of
                               :math:`\partial s/\partial A_k` (Selvaraju 2017, arXiv:1610.02391)
    ``integrated_gradients``   :math:`x \int_0^1 \partial s(ax)/\partial x\, da`, from a dark image
                               (Sundararajan 2017, arXiv:1703.01365); sums to :math:`s(x) - s(0)` where
                               the path holds no hard quantiser
    ``smooth_gradient``        mean gradient under Gaussian noise (Smilkov 2017, arXiv:1706.03825)
    ========================== =========================================================================

    The score is the output of class ``targets``; for a segmentation ``(B, K, H, W)`` the sum of that class's
    output over the pixels predicted as it (``K = 1``: over the positive ones), zero if there are none.

    Args:
        model: camera and network; left as it was (mode, hooks, ``.grad``, ``requires_grad``).
        images: scenes, intensities in 0…1 of full scale.
        targets: class or regression output, one for all or one per image; ``None`` takes the largest output;
            a floating tensor of the outputs' shape weights them instead.
        method: one of `METHODS`.
        wrt: ``"scene"``, or ``"reading"`` for the digital image that the network receives.
        reading_layers: how many leading layers are the camera, or the submodule whose output is the reading;
            ``None`` takes the leading physical layers (:func:`split_camera`).
        layer: Grad-CAM only: the layer that gives :math:`A`; ``None`` takes the network's last ``Conv2d``.
        relu: Grad-CAM only: keep positive evidence alone.
        upsample: Grad-CAM only: bilinear to the size of the scene or reading.
        steps: integrated gradients only: Gauss–Legendre nodes.
        samples: smooth gradient only: number of noisy copies.
        noise: smooth gradient only: standard deviation as a fraction of each image's own range.
        generator: smooth gradient only, and needed there; all images of a batch see the same noise.

    Shape:
        ``(B, C, H, W)`` to the same (the reading's for ``wrt="reading"``), per unit of intensity (integrated
        gradients: in units of the output); Grad-CAM ``(B, 1, H, W)``, or ``(B, 1, h, w)`` of the layer.

    Raises:
        TypeError: if the images are not floating, or the targets not integers.
        ValueError: for a wrong shape or target, an unknown choice, a model without reading, ``Conv2d`` or
            ReLU where one is needed, or an output without gradient to the scene or reading.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
        >>> model[1].weight.data = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
        >>> saliency(model, torch.full((1, 1, 1, 2), 0.5), 0)
        tensor([[[[ 1., -2.]]]])
        >>> saliency(model, torch.full((1, 1, 1, 2), 0.5), 0, method="integrated_gradients")
        tensor([[[[ 0.5000, -1.0000]]]])
    """
    check_images(images, "images", full=True)
    for name, value, known in (("method", method, METHODS), ("wrt", wrt, ("scene", "reading"))):
        if value not in known:
            raise ValueError(f"Expected {name} to be one of {', '.join(known)}, but got {value!r}.")
    if min(steps, samples) < 1:
        raise ValueError(f"Expected steps and samples to be at least 1, but got {steps} and {samples}.")
    parts = split_at(model, reading_layers, needed=wrt == "reading")
    with evaluation(model):
        images = images.detach().clone().requires_grad_()
        with torch.no_grad():
            weights = output_weights(model(images.clone()), targets)
            reading = parts.camera(images.clone())
        reading.requires_grad_()

        # clone(): the model may begin with an in-place operation, which a leaf does not allow.
        def score_reading(x: Tensor, scene: Tensor, weights: Tensor) -> Tensor:
            return weighted(parts.network(x.clone(), scene.clone()), weights)

        def score_scene(x: Tensor, scene: Tensor, weights: Tensor) -> Tensor:
            return weighted(model(x.clone()), weights)

        score, x = (score_scene, images) if wrt == "scene" else (score_reading, reading)
        if method == "gradient":
            return gradient(score, x, images, weights)
        if method == "guided_backpropagation":
            with GuidedReLU() as guided:
                result = gradient(score_reading, reading, images, weights)
            if not guided.calls:
                raise ValueError('Expected the network to call a ReLU, but got none; use method="gradient".')
            if wrt == "reading":
                return result
            # The camera keeps its own derivative: a ReLU there is optics or electronics, not evidence.
            return gradient(lambda x, *_: parts.camera(x.clone()) * result, images, images, weights)
        if method == "grad_cam":
            layer = convolution(parts.network_modules, layer)
            result = grad_cam(score_reading, layer, reading, images, weights, relu)
            return F.interpolate(result, size=x.shape[-2:], mode="bilinear") if upsample else result
        if method == "integrated_gradients":
            return integrated_gradients(score, x, images, weights, steps)
        return smooth_gradient(score, x, images, weights, samples, noise, generator)


def parameter_saliency(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | int | None = None,
    *,
    names: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    r"""Gradient of each image's score with respect to the physical parameters, per physical unit.

    .. math:: g_b = \partial s_b / \partial v, \qquad v = f(\theta)

    with :math:`v` the quantity that the layer uses (unit: its own), not the free number :math:`\theta` behind
    its bound. Costs a forward and a backward pass per image: slower than ``torch.func.vmap``, but it works
    with every straight-through ``autograd.Function``. A factor that a layer puts on its own gradient stays in
    the map: build ``LearnedStep`` with ``scale_gradient=False`` to compare its map with others.

    Args:
        model: camera and network; left as it was.
        images: scenes ``(B, C, H, W)``, intensities in 0…1 of full scale.
        targets: as for :func:`saliency`.
        names: quantities such as ``"0.gain"``; a fixed one may be named; ``None`` takes all learned.

    Returns:
        For each name a tensor ``(B, *shape of the quantity)``, unit: output per unit of the quantity.

    Raises:
        ValueError: for an unknown name, a model without learned quantity, or a quantity that the score
            does not depend on.

    Example:
        >>> from physlayer import PhysicalLayer
        >>> class Gain(PhysicalLayer):
        ...     def __init__(self, gain):
        ...         super().__init__()
        ...         self.register_physical("gain", gain, unit="1", low=0.0, high=2.0)
        ...     def forward(self, x):
        ...         return self.gain * x
        >>> model = nn.Sequential(Gain(nn.Parameter(torch.tensor(1.0))), nn.Flatten(), nn.Linear(1, 1))
        >>> model[2].weight.data.fill_(3.0)
        tensor([[3.]])
        >>> parameter_saliency(model, torch.tensor([0.1, 0.5]).reshape(2, 1, 1, 1))
        {'0.gain': tensor([0.3000, 1.5000])}
    """
    check_images(images, "images", full=True)
    places = quantities(model)
    if names is None:
        names = [name for name, (_, _, learned) in places.items() if learned]
    if not names or not set(names) <= set(places):
        raise ValueError(f"Expected names to be among {sorted(places)}, but got {list(names)}.")
    with evaluation(model):
        images = images.detach().clone()
        with torch.no_grad():
            weights = output_weights(model(images.clone()), targets)
        leaves = [leaf for name in names for leaf in leaves_of(*places[name][:2])]
        flags = [leaf.requires_grad for leaf in leaves]
        try:
            for leaf in leaves:
                leaf.requires_grad_()
            # cached(): the forward pass reads the very tensor that we differentiate by.
            with parametrize.cached():
                values = [getattr(*places[name][:2]) for name in names]
                rows = []
                for image, weight in zip(images.split(1), weights.split(1), strict=True):
                    score = weighted(model(image.clone()), weight).sum()
                    if not score.requires_grad:
                        raise ValueError(f"Expected the score to depend on {list(names)}, but it does not.")
                    rows.append(torch.autograd.grad(score, values, allow_unused=True))
        finally:
            for leaf, flag in zip(leaves, flags, strict=True):
                leaf.requires_grad_(flag)
    unused = [name for name, row in zip(names, rows[0], strict=True) if row is None]
    if unused:
        raise ValueError(f"Expected the score to depend on {unused}, but it does not; drop them from names.")
    return {name: torch.stack(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


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
        model, images, targets, method, wrt, reading_layers, layer: as for :func:`saliency`.
        generator: draws the new weights, and the noise of ``smooth_gradient`` (the same for both maps).

    Returns:
        Mean rank correlation, -1…1, of maps ``(B, …)``.

    Raises:
        ValueError: as for :func:`saliency`, or if every map is constant.

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
    randomise(split_at(forgetful, reading_copy).network_modules, generator)
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
