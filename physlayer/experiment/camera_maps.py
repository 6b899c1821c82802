"""What a record says of a camera: learned quantities as arrays, and which of them are maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from physlayer.experiment.record import CameraExport, as_json

__all__ = ["brief", "flat_map", "is_map", "learned_quantities"]

EXPORT_LIMIT = 64  # values of a map that `brief` writes out; the record holds them all


def learned_quantities(camera: CameraExport, *, fixed_too: bool = False) -> dict[str, tuple[np.ndarray, str]]:
    """Values and unit of every learned quantity of a camera, as the hardware has them.

    Args:
        camera: of a record; a map that it holds by its range alone is left out. fixed_too: all quantities.

    Example:
        >>> from physlayer.experiment.record import LayerExport, QuantityExport
        >>> gain = QuantityExport("1", learned=True, bounds=(0.0, None), value=[[[2.0]]])
        >>> learned_quantities(CameraExport((LayerExport("Gain", {"gain": gain}, {}, "0"),), {}))
        {'0.gain': (array([[[2.]]]), '1')}
    """
    return {
        f"{layer.name}.{name}": (np.array(quantity.value, dtype=np.float64), quantity.unit)
        for layer in camera.layers
        for name, quantity in layer.quantities.items()
        if (quantity.learned or fixed_too) and quantity.value is not None
    }


def is_map(value: np.ndarray) -> bool:
    """Whether a quantity varies over the sensor, and not only over channels."""
    return value.ndim >= 2 and max(value.shape[-2:]) > 1


def flat_map(value: np.ndarray) -> np.ndarray:
    """Map ``(H, W)`` of a quantity: the mean over channels."""
    mean: np.ndarray = value.reshape(-1, *value.shape[-2:]).mean(0)
    return mean


def brief(content: Any) -> Any:
    """An exported camera as dictionaries, with long maps replaced by their shape and range.

    Example:
        >>> brief({"unit": "bit", "value": [[1.0] * 10] * 10})["value"]["shape"]
        [10, 10]
    """
    return _without_maps(as_json(content))


def _without_maps(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_maps(value) for key, value in content.items()}
    if isinstance(content, list) and content and not isinstance(content[0], dict):
        values = np.array(content)
        if values.size > EXPORT_LIMIT:
            low, mean, high = (float(f(values)) for f in (np.min, np.mean, np.max))
            return {"shape": list(values.shape), "minimum": low, "mean": mean, "maximum": high}
        return content
    return [_without_maps(entry) for entry in content] if isinstance(content, list) else content
