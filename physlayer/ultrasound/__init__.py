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
from physlayer.ultrasound.transducer_array import TransducerArray

__all__ = [
    "RECEIVES",
    "ChannelSelection",
    "Envelope",
    "LogCompression",
    "TransducerArray",
    "apodisation_window",
    "array_factor",
    "axial_pulse",
    "element_positions",
    "grating_lobes",
    "lateral_spread",
    "log_compress",
    "power_envelope",
    "pulse_deviation",
    "signal_to_noise_efficiency",
]
