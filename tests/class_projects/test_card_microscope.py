"""Class projects 8 and 9: the homework's microscope, and masks in the Fourier plane."""

import torch
from torch import nn
from torch.nn import functional as F

from physlayer import CoherentImaging, GaussianNoise, parameter_groups, seed_noise


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def digits(count):
    """Digits of scikit-learn, 28×28, and their classes."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images[:count] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    return F.pad(F.interpolate(x, size=(20, 20), mode="bilinear"), (4, 4, 4, 4)), torch.tensor(classes[:count])


def test_card_8_homework_microscope_in_four_arms():
    """Ordering at 1 rad and noise 0.2: with a learned aperture far above neither; the phases move only if learned."""
    images, classes = digits(400)
    x, target = images[:200], classes[:200]
    losses, moved = {}, {}
    for arm, (light, pupil) in {"both": (1, 1), "neither": (0, 0), "aperture": (0, 1), "illumination": (1, 0)}.items():
        torch.manual_seed(0)
        # --- the user's lines
        phases = [nn.Parameter(torch.zeros(28, 28)) if learn else torch.zeros(28, 28) for learn in (light, pupil)]
        microscope = CoherentImaging(
            8, thickness_waves=1, convention="radians", illumination_waves=phases[0], aperture_waves=phases[1]
        )
        camera = nn.Sequential(microscope, GaussianNoise(0.2))
        model = nn.Sequential(camera, nn.Flatten(), nn.Linear(784, 10))
        optimizer = torch.optim.Adam(parameter_groups(model, lr=3e-3, lr_physics=2e-2))
        seed_noise(model, 0)
        for _ in range(60):
            loss = F.cross_entropy(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # ---
        losses[arm] = float(
            F.cross_entropy(model.eval()(images[200:]), classes[200:]).detach()
        )  # digits not seen before
        moved[arm] = [bool(layer.any()) for layer in microscope.physical().values()]
    assert moved == {
        "both": [True, True],
        "neither": [False] * 2,
        "aperture": [False, True],
        "illumination": [True, False],
    }
    assert losses["both"] < 0.6 * losses["neither"] and losses["aperture"] < 0.6 * losses["neither"], losses
    assert losses["illumination"] < losses["neither"], losses


def test_card_9_four_masks_in_the_fourier_plane():
    """Amplitude, free complex, unit modulus, one amplitude per colour: |A| within 0…1, light never gained."""
    x = torch.rand(4, 3, 30, 30, generator=torch.Generator().manual_seed(0))
    # --- the user's lines
    half, flat = torch.full((30, 30), 0.5), torch.zeros(30, 30)
    masks = {
        "amplitude": {"aperture_amplitude": nn.Parameter(half)},
        "complex": {"aperture_amplitude": nn.Parameter(half.clone()), "aperture_waves": nn.Parameter(flat)},
        "phase": {"aperture_waves": nn.Parameter(flat.clone())},
        "colours": {"aperture_amplitude": nn.Parameter(half.expand(3, -1, -1).clone())},
    }
    cameras = {name: CoherentImaging(7.5, input="intensity", **mask) for name, mask in masks.items()}
    # ---
    for name, camera in cameras.items():
        optimizer = torch.optim.Adam(camera.parameters(), lr=0.3)
        for _ in range(10):
            loss = (camera(x) - x.flip(0)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        y = camera(x).detach()
        assert y.shape == x.shape and bool((y.sum((2, 3)) <= x.sum((2, 3)) * (1 + 1e-5)).all())
        modulus = camera.aperture(x.shape).abs().detach()
        assert float(modulus.max()) <= 1 + 1e-6
        if name == "phase":
            assert torch.allclose(modulus, modulus.round(), atol=1e-6)
