"""From photons to electrons to codes, with their noise, and the laboratory that measures it."""

from physlayer.sensor.electrons import Sensor
from physlayer.sensor.photon_transfer import CameraData, emva1288
from physlayer.sensor.pixel_noise import GaussianNoise, PhotonNoise, SaltPepper, SpeckleNoise, salt_and_pepper
from physlayer.sensor.presets import HEADROOM, SENSORS, fitted_gain, industrial_sensor, photons_at_full_well
from physlayer.sensor.quanta import QuantaSensor, bit_density, exposure_estimate

__all__ = [
    "HEADROOM",
    "SENSORS",
    "CameraData",
    "GaussianNoise",
    "PhotonNoise",
    "QuantaSensor",
    "SaltPepper",
    "Sensor",
    "SpeckleNoise",
    "bit_density",
    "emva1288",
    "exposure_estimate",
    "fitted_gain",
    "industrial_sensor",
    "photons_at_full_well",
    "salt_and_pepper",
]
