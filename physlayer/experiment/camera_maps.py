"""What a record says of a camera: learned quantities as arrays, and which of them are maps."""

from __future__ import annotations

import numpy as np

__all__ = ["brief", "flat_map", "is_map", "learned_quantities"]

EXPORT_LIMIT = 64  # values of a map that `brief` writes out; the record holds them all


def learned_quantities(record: dict, *, fixed_too: bool = False) -> dict[str, tuple[np.ndarray, str]]:
    """Values and unit of every learned quantity of a record's camera, as the hardware has them.

    Args:
        record: a record, whose ``camera`` holds the maps in full.

    Example:
        >>> gain = {"unit": "1", "learned": True, "value": [[[2.0]]]}
        >>> learned_quantities({"camera": {"layers": [{"name": "0", "quantities": {"gain": gain}}]}})
        {'0.gain': (array([[[2.]]]), '1')}
    """
    return {
        f"{layer['name']}.{name}": (np.array(entry["value"], dtype=np.float64), entry["unit"])
        for layer in record["camera"]["layers"]
        for name, entry in layer["quantities"].items()
        if (entry["learned"] or fixed_too) and "value" in entry
    }


def is_map(value: np.ndarray) -> bool:
    """Whether a quantity varies over the sensor, and not only over channels."""
    return value.ndim >= 2 and max(value.shape[-2:]) > 1


def flat_map(value: np.ndarray) -> np.ndarray:
    """Map ``(H, W)`` of a quantity: the mean over channels."""
    return value.reshape(-1, *value.shape[-2:]).mean(0)


def brief(content):
    """An exported camera with long maps replaced by their shape and range.

    Example:
        >>> brief({"unit": "bit", "value": [[1.0] * 10] * 10})["value"]["shape"]
        [10, 10]
    """
    if isinstance(content, dict):
        return {key: brief(value) for key, value in content.items()}
    if isinstance(content, list) and content and not isinstance(content[0], dict):
        values = np.array(content)
        if values.size > EXPORT_LIMIT:
            low, mean, high = (float(f(values)) for f in (np.min, np.mean, np.max))
            return {"shape": list(values.shape), "minimum": low, "mean": mean, "maximum": high}
        return content
    return [brief(entry) for entry in content] if isinstance(content, list) else content
