"""Cases of the layers that take k of N measurements, and of the ultrasound array."""

from __future__ import annotations

from physlayer.core.layer import PhysicalLayer
from physlayer.sampling.fourier import FourierSampling, centre
from physlayer.sampling.projection import ProjectionSampling
from physlayer.sampling.sensor_placement import SensorPlacement
from physlayer.testing.layer_case import LayerCase, demand, full
from physlayer.ultrasound.channel_selection import ChannelSelection
from physlayer.ultrasound.envelope import Envelope, LogCompression
from physlayer.ultrasound.transducer_array import TransducerArray

__all__ = ["SUBSET_LAYERS"]


def _places_read(layer: PhysicalLayer) -> tuple[float, float]:
    return float(layer.physical()["mask"].sum()), layer.keep


def _array(**more) -> TransducerArray:
    learned = {"focus_mm": full(8.0), "frequency_mhz": full(8.0), "weights": full(0.8, 12)}
    return TransducerArray(12, pitch_mm=0.3, pixel_mm=(0.1, 0.4), depth_mm=6.0, output="parts", **learned, **more)


SUBSET_LAYERS: tuple[LayerCase, ...] = (
    LayerCase(
        "SensorPlacement",
        lambda: SensorPlacement(demand(37, 31), keep=200),
        total=_places_read,
    ),
    LayerCase(
        "FourierSampling",
        lambda: FourierSampling(demand(31), keep=9, always_on=centre(31, 3)),
        total=_places_read,
    ),
    LayerCase(
        "FourierSampling points",
        lambda: FourierSampling(demand(37, 31), keep=300, output="complex"),
        total=_places_read,
    ),
    LayerCase(
        "ProjectionSampling",
        lambda: ProjectionSampling(6, weights=full(0.9, 6), filter_gain=full(0.8, 5), logits=demand(6), keep=4),
        shape=(2, 17, 17),
        total=_places_read,
    ),
    LayerCase(
        "TransducerArray",
        lambda: _array(input="parts", logits=demand(12), keep=5),
        shape=(4, 37, 31),
        total=_places_read,
    ),
    LayerCase(
        "TransducerArray polar",
        lambda: _array(
            input="polar", signed=True, receive="fixed", element_width_mm=0.2, noise_rms=full(0.05), oversample=3
        ),
        shape=(2, 37, 31),
    ),
    LayerCase(
        "ChannelSelection",
        lambda: ChannelSelection(demand(2, 3), keep=3, weights=full(0.8, 2, 3), input="parts"),
        shape=(6, 37, 31),
        total=_places_read,
    ),
    LayerCase("Envelope", lambda: Envelope(full(0.5), input="parts"), shape=(4, 37, 31)),
    LayerCase("LogCompression", lambda: LogCompression(full(40.0), reference=full(0.8, 3, 1, 1))),
)
