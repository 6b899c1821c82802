"""The array of the ultrasound sweep: what its arms share, and that more elements see more."""

import importlib

import pytest
import torch
from torch import nn

from physlayer.experiment import main
from physlayer.experiment.spec import Point
from physlayer.sweeps import ultrasound_array
from physlayer.tasks.ultrasound.phantom import make_phantom

SWEPT = [variant.name for variant in ultrasound_array.SWEEP.variants if variant.swept]


def point(value, size=32):
    return Point(value, (2, size, size), lambda q: q, lambda: torch.zeros(1), torch.Generator().manual_seed(0))


def camera(arm, value):
    return nn.Sequential(*ultrasound_array.SWEEP.variant(arm).camera(point(value))).eval()


@pytest.mark.parametrize("arm", SWEPT)
def test_every_arm_works_with_the_stated_number_of_elements(arm):
    for count in (8, 32):
        array = camera(arm, count)[0]
        drive = array.drive(torch.zeros(1, 2, 32, 32)).detach()[0]
        assert int((drive != 0).sum()) == count and array.cost((2, 32, 32))["elements"] == count


def test_all_elements_are_the_same_array_in_every_arm():
    eyes = make_phantom(2, seed=3, size=32).scatterers
    readings = [camera(arm, 128)(eyes) for arm in ("fixed", "spread", "random", "learned")]
    assert all(torch.allclose(reading, readings[0], atol=1e-6) for reading in readings)


def test_small_aperture_has_a_wider_beam_and_a_sparse_one_has_more_clutter():
    """Energy of the beam of a point at 21 mm within a millimetre and beyond four, of arrays with 16 elements."""
    shares = {}
    for arm in ("fixed", "spread", "none"):
        array = camera(arm, 16)[0]
        beam = array.point_spread(array.drive(torch.zeros(1, 2, 32, 32)), (32, 32)).detach()[0, 16].abs().square()
        offset = torch.arange(-31, 32).abs()  # of a millimetre each
        shares[arm] = [float(beam[offset <= 1].sum() / beam.sum()), float(beam[offset > 4].sum() / beam.sum())]
    assert shares["none"][0] > shares["fixed"][0] and shares["spread"][1] > shares["fixed"][1]


def test_finished_images_are_refused():
    with pytest.raises(ValueError, match="--task ultrasound_field"):
        ultrasound_array.SWEEP.variant("fixed").camera(
            Point(8, (1, 32, 32), lambda q: q, lambda: None, torch.Generator())
        )


@pytest.mark.parametrize("script", ["bit_depth", "overview"])
def test_a_field_is_refused_by_sweeps_of_pictures(script, tmp_path, capsys):
    module = importlib.import_module(f"physlayer.sweeps.{script}")
    command = ["--task", "ultrasound_field", "--fast", "--out", str(tmp_path)]
    assert main(module.SWEEP, module.__doc__, command) == 2
    assert "Expected --task to have pictures as scenes" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))
