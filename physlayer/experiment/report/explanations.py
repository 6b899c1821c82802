"""What trained cameras read and what their networks look at, for the test images that a report shows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.experiment.camera_maps import learned_quantities
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.spec import Variant
from physlayer.saliency import parameter_saliency, saliency, split_camera

__all__ = ["parameter_sensitivity", "readings", "saliency_maps", "scale_of"]

OUTLIERS = 0.99  # of a gradient's pixels lie inside the colour scale, or one pixel would bleach all maps
SENSITIVITY_IMAGES = 4  # per class, for the gradient with respect to the physical parameters


def readings(context: ReportContext, variant: Variant, scenes: Tensor) -> dict[float, Tensor]:
    """What the arm's sensor reads of the scenes at each value, with the camera of the lowest seed."""
    found = {}
    for value in context.values:
        for record in context.members(variant, value)[:1]:
            with torch.no_grad():
                found[value] = split_camera(context.model(variant, record))[0](scenes)
    return found


def saliency_maps(context: ReportContext, scenes: Tensor, targets: Tensor) -> dict[str, np.ndarray]:
    """Gradient (summed over channels) and Grad-CAM of the true class, ``(points, B, H, W)``, lowest seed.

    A network without convolutions has no Grad-CAM; it is then left out. Of a number both signs are shown: what makes it
    smaller is evidence, too.
    """
    models = [context.model(variant, context.members(variant, value)[0]) for variant, value in context.ends()]
    convolutional = all(any(isinstance(module, nn.Conv2d) for module in model.modules()) for model in models)
    found: dict[str, list[np.ndarray]] = {"gradient": [], "grad_cam": []} if convolutional else {"gradient": []}
    for model in models:
        for method, maps in found.items():
            shown = saliency(model, scenes, targets, method=method, relu=context.problem.kind != "regression")
            maps.append(shown.sum(1).detach().numpy())
    return {method: np.stack(maps) for method, maps in found.items()}


def scale_of(maps: np.ndarray) -> float:
    """Largest magnitude of a shared colour scale, above zero."""
    return float(np.quantile(np.abs(maps), OUTLIERS)) or 1e-12


def parameter_sensitivity(context: ReportContext, variant: Variant, value: float | None) -> dict[str, np.ndarray]:
    """Mean size of the true class's gradient by each learned quantity: lowest seed, some test images."""
    record = context.members(variant, value)[0]
    if not learned_quantities(record.camera):  # as at the end of an axis where nothing is left to learn
        return {}
    scenes, targets = context.examples(SENSITIVITY_IMAGES)
    model = context.model(variant, record)
    found = parameter_saliency(model, scenes, targets)
    return {name: gradient.abs().mean(0).detach().numpy() for name, gradient in found.items()}
