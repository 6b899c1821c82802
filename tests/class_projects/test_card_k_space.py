"""Class project 16: columns of k-space, learned."""

import numpy as np
import torch
from skimage.data import shepp_logan_phantom
from skimage.metrics import peak_signal_noise_ratio
from skimage.transform import resize
from torch import nn

from physlayer import FourierSampling, parameter_groups, seed_noise
from physlayer.sampling.fourier import centre, equispaced

SIZE, KEEP = 64, 16  # a quarter of the columns


def heads(count=48, seed=0):
    """The Shepp–Logan phantom, shifted and scaled."""
    phantom = torch.from_numpy(resize(shepp_logan_phantom(), (SIZE, SIZE), anti_aliasing=True)).float()
    random = np.random.default_rng(seed)
    moved = [
        phantom.roll(tuple(random.integers(-6, 7, 2).tolist()), (0, 1)) * random.uniform(0.6, 1) for _ in range(count)
    ]
    return torch.stack(moved)[:, None].contiguous()


def quality(layer, x):
    y = layer.hard(x).detach()
    return float(
        np.mean([peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1) for a, b in zip(x, y, strict=True)])
    )


def test_card_16_learned_columns_against_equispaced_and_random():
    x, test = heads(), heads(24, seed=1)
    # --- the user's lines
    layer = FourierSampling(nn.Parameter(torch.zeros(SIZE)), keep=KEEP, always_on=centre(SIZE, 5))
    optimizer = torch.optim.Adam(parameter_groups(layer, lr=0.2))
    seed_noise(layer, 0)
    for _ in range(40):
        loss = (layer.train()(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # ---
    assert int(layer.mask.detach().sum()) == KEEP
    random = torch.rand(SIZE, generator=torch.Generator().manual_seed(0))
    arms = {
        "equispaced": FourierSampling(equispaced(SIZE, KEEP), keep=KEEP),
        "centre and equispaced": FourierSampling(equispaced(SIZE, KEEP, centre(SIZE, 5)), keep=KEEP),
        "random": FourierSampling(random, keep=KEEP, always_on=centre(SIZE, 5)),
        "learned": layer,
    }
    found = {name: quality(arm, test) for name, arm in arms.items()}
    assert found["learned"] > found["random"] + 1 and found["learned"] > found["equispaced"] + 3
    assert found["centre and equispaced"] > found["equispaced"] + 2  # the baseline that beat learning in the source
    assert found["learned"] > found["centre and equispaced"]
