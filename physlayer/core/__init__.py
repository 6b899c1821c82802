"""What every layer stands on: the base class, bounds, checks, randomness, budgets, and the camera as a whole."""

from physlayer.core.allocation import allocate, allocate_through
from physlayer.core.audit import Movement, MovementAudit, audit_gradients, parameter_groups
from physlayer.core.broadcast import full_size
from physlayer.core.camera import camera_cost, export_camera, physical_layers, reading_shape
from physlayer.core.fft import fast_length
from physlayer.core.field import PARTS, field_of, intensity, parts_of
from physlayer.core.layer import PhysicalLayer
from physlayer.core.modes import evaluating
from physlayer.core.parametrizations import Interval, Logarithmic, Magnitude
from physlayer.core.photons import SaturatingSensor, photon_counts, saturate, warn_if_saturated
from physlayer.core.quantity import Quantity, summary
from physlayer.core.randomness import Noise, noise_draw, seed_noise
from physlayer.core.subset import choose, inclusion
from physlayer.core.validation import (
    IMAGES,
    Accepts,
    above_zero,
    check_bits,
    check_images,
    image_size,
    one_number,
    one_of,
    plain_number,
)

__all__ = [
    "IMAGES",
    "PARTS",
    "Accepts",
    "Interval",
    "Logarithmic",
    "Magnitude",
    "Movement",
    "MovementAudit",
    "Noise",
    "PhysicalLayer",
    "Quantity",
    "SaturatingSensor",
    "above_zero",
    "allocate",
    "allocate_through",
    "audit_gradients",
    "camera_cost",
    "check_bits",
    "check_images",
    "choose",
    "evaluating",
    "export_camera",
    "fast_length",
    "field_of",
    "full_size",
    "image_size",
    "inclusion",
    "intensity",
    "noise_draw",
    "one_number",
    "one_of",
    "parameter_groups",
    "parts_of",
    "photon_counts",
    "physical_layers",
    "plain_number",
    "reading_shape",
    "saturate",
    "seed_noise",
    "summary",
    "warn_if_saturated",
]
