"""How much light reaches the sensor: transmission, exposure, brackets for a high dynamic range, response curves."""

from physlayer.exposure.hdr import ExposureBracket, ExposureMosaic, dynamic_range_db, merge_exposures
from physlayer.exposure.response import Response, power_response
from physlayer.exposure.transmission import Exposure, Gamma, TransmissionMask

__all__ = [
    "Exposure",
    "ExposureBracket",
    "ExposureMosaic",
    "Gamma",
    "Response",
    "TransmissionMask",
    "dynamic_range_db",
    "merge_exposures",
    "power_response",
]
