"""Where a decision comes from: maps over the scene and over the sensor reading.

Maps are signed and never rescaled, so one colour scale serves a whole sweep. Everything runs in ``eval()``,
where the camera is the hardware exactly: **through a hard quantiser the gradient is that of the layer's
documented surrogate** (often a straight-through 1), not a derivative of the staircase.
``wrt="reading"`` starts behind the quantiser and needs no surrogate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.core.validation import check_images, one_of
from physlayer.saliency.attribution import (
    GuidedReLU,
    convolution,
    evaluation,
    grad_cam,
    gradient,
    integrated_gradients,
    output_weights,
    smooth_gradient,
    weighted,
)
from physlayer.saliency.model_parts import split_at

__all__ = ["METHODS", "saliency"]

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
                               (Springenberg 2014, arXiv:1412.6806); see :func:`.randomisation_check`
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
            ``None`` takes the leading physical layers (:func:`.split_camera`).
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
        one_of(name, value, known)
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
