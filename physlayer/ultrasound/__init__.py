"""An ultrasound array on the complex field, from its beam to the displayed envelope."""

from physlayer.ultrasound.beam import (
    RECEIVES,
    apodisation_window,
    array_factor,
    axial_pulse,
    element_positions,
    grating_lobes,
    lateral_spread,
    pulse_deviation,
    signal_to_noise_efficiency,
)
from physlayer.ultrasound.channel_selection import ChannelSelection
from physlayer.ultrasound.envelope import Envelope, LogCompression, log_compress, power_envelope
from physlayer.ultrasound.scan_lines import along_depth, pixel_spread, scanned
from physlayer.ultrasound.transducer_array import TransducerArray

__all__ = [
    "RECEIVES",
    "ChannelSelection",
    "Envelope",
    "LogCompression",
    "TransducerArray",
    "along_depth",
    "apodisation_window",
    "array_factor",
    "axial_pulse",
    "element_positions",
    "grating_lobes",
    "lateral_spread",
    "log_compress",
    "pixel_spread",
    "power_envelope",
    "pulse_deviation",
    "scanned",
    "signal_to_noise_efficiency",
]
