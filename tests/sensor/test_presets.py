"""Sensors that can be bought, with gain and offset for their light."""

import pytest
import torch
from torch import nn

from physlayer import SENSORS, Sensor, fitted_gain, industrial_sensor
from physlayer.sensor import photons_at_full_well


@pytest.mark.parametrize("kind", SENSORS)
def test_fitted_gain_puts_white_by_its_headroom_below_the_last_code(kind):
    photons, headroom = 500.0, 1.6
    settings = fitted_gain(12, photons, kind=kind, headroom=headroom)
    camera = Sensor(12, **(settings | {"read_noise_electrons": 0.0}))
    read, last = SENSORS[kind]["read_noise_electrons"], 4095
    electrons = settings["gain_dn_per_electron"] * SENSORS[kind]["quantum_efficiency"] * photons
    assert last - settings["offset_dn"] - headroom * electrons == pytest.approx(settings["offset_dn"], rel=1e-6)
    assert settings["offset_dn"] == pytest.approx(4 * read * settings["gain_dn_per_electron"])
    white = camera.codes(torch.ones(1, 1, 200, 200)).double().mean()
    assert float(white) == pytest.approx(settings["offset_dn"] + electrons, rel=5e-3)


def test_fitted_gain_puts_full_well_at_the_last_code_where_light_is_plenty():
    settings = fitted_gain(10, 1e7)
    assert settings["gain_dn_per_electron"] == 1023 / SENSORS["pregius345"]["full_well_electrons"]
    with pytest.raises(ValueError, match="kind to be one of imx174"):
        fitted_gain(10, 100.0, kind="film")
    with pytest.raises(ValueError, match="exposure_photons"):
        fitted_gain(10, 0.0)


@pytest.mark.parametrize("kind", SENSORS)
def test_an_industrial_sensor_is_the_fitted_one(kind):
    sensor = industrial_sensor(300.0, bits=10, kind=kind, headroom=3.0)
    same = Sensor(10, **fitted_gain(10, 300.0, kind=kind, headroom=3.0))
    assert repr(sensor) == repr(same)
    assert all(torch.equal(sensor.physical()[name], value) for name, value in same.physical().items())


def test_another_gain_moves_the_dark_signal_of_an_industrial_sensor_along():
    fitted = fitted_gain(12, 300.0)
    gain = nn.Parameter(fitted["gain_dn_per_electron"] * torch.tensor([1.0, 2.0, 0.5]).view(3, 1, 1))
    sensor = industrial_sensor(300.0, gain_dn_per_electron=gain)
    assert sensor.learned() == ("gain_dn_per_electron",)
    moved = (fitted["offset_dn"] * torch.tensor([1.0, 2.0, 0.5])).tolist()
    assert sensor.offset_dn.flatten().tolist() == pytest.approx(moved)


def test_the_noise_of_an_industrial_sensor_can_be_another():
    quiet = industrial_sensor(300.0, read_noise_electrons=0.0, dark_current_electrons_per_second=5.0)
    assert float(quiet.read_noise_electrons) == 0.0 and float(quiet.dark_current_electrons_per_second) == 5.0
    assert float(quiet.offset_dn) == pytest.approx(fitted_gain(12, 300.0)["offset_dn"])  # codes stay where they are


def test_a_full_well_of_photons_fills_the_pixel_and_an_unknown_kind_is_refused():
    kind = SENSORS["icx625"]
    assert photons_at_full_well("icx625") * kind["quantum_efficiency"] == pytest.approx(kind["full_well_electrons"])
    with pytest.raises(ValueError, match="Expected kind to be one of imx174"):
        photons_at_full_well("film")
