"""How hard is the blood-cell phantom, and what does each loss of image quality cost?

    python benchmarks/phantom_difficulty.py --size 32 --seeds 0 1 --out docs/results/phantom_difficulty.csv
    python benchmarks/phantom_difficulty.py --fast                # a minute: does it run, are the signs right
    python benchmarks/phantom_difficulty.py --conditions full 1-bit grey

The first is the table of the documentation (docs/build/make_phantom.py draws it). One CNN is trained per condition
and seed on images degraded in that way and tested on images degraded alike, so a row tells what information is left,
not how a network copes with a surprise. Train and test images come from different slides, and the test slides are
not those on which the phantom was designed. Intervals are 95 % over seeds and slides; the loss is paired with "full".

Three rows need no CNN: logistic regression on the mean colour and nearest neighbours on raw pixels look for
shortcuts, a forest on the latent parameters (lobes, granule radius, notch depth, …) for the ceiling.
"""

import argparse
import csv
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from physlayer.metrics import cluster_bootstrap, paired_difference
from physlayer.tasks.blood_cells.phantom import Phantom, make_phantom

# Data
TRAIN_IMAGES = 2000
TEST_IMAGES = 1000
TRAIN_SEED = 0
TEST_SEED = 20261  # another seed is another set of slides; 1 served the design
SIZE = 64

# Training
EPOCHS = 30
BATCH = 64
LEARNING_RATE = 4e-3  # peak of a one-cycle schedule
WEIGHT_DECAY = 1e-2
WIDTHS = (16, 32, 64)

COLUMNS = ("condition", "seeds", "slides", "accuracy", "low", "high", "minus_full", "minus_full_low", "minus_full_high")
FAST = {"train": 300, "test": 200, "epochs": 4}

GREY = (0.2126, 0.7152, 0.0722)  # luminance of linear red, green and blue (Rec. ITU-R BT.709)


def quantized(images: Tensor, bits: int) -> Tensor:
    """Round to 2**bits codes over 0…1; with one bit that is a threshold at one half."""
    top = 2**bits - 1
    return (images * top).round() / top


def coarse(images: Tensor, factor: int) -> Tensor:
    """Average squares of ``factor`` pixels and repeat each: the network sees as many pixels as before."""
    return functional.avg_pool2d(images, factor).repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def grey(images: Tensor) -> Tensor:
    """Replace the three channels by their luminance."""
    return torch.einsum("nchw,c->nhw", images, torch.tensor(GREY))[:, None].expand_as(images).contiguous()


def shuffled(images: Tensor) -> Tensor:
    """Permute the pixels of each image in an order of its own: only the histogram of colours is left."""
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(len(images), 1, images[0, 0].numel(), generator=generator).argsort(-1)
    return images.flatten(2).gather(2, order.expand(-1, 3, -1)).view_as(images)


def border(images: Tensor) -> Tensor:
    """Blank everything but a ring of one sixteenth of the side: the surroundings must not tell the class."""
    width = images.shape[-1] // 16
    ring = images.clone()
    ring[:, :, width:-width, width:-width] = 0.5
    return ring


Degradation = Callable[[Tensor], Tensor]

CONDITIONS: dict[str, Degradation] = {
    "full": lambda images: quantized(images, 8),
    "2-bit": lambda images: quantized(images, 2),
    "1-bit": lambda images: quantized(images, 1),
    "/2": lambda images: coarse(images, 2),
    "/4": lambda images: coarse(images, 4),
    "/8": lambda images: coarse(images, 8),
    "grey": grey,
    "grey 1-bit": lambda images: quantized(grey(images), 1),
    "shuffled": shuffled,
    "border": border,
}


def small_cnn(widths: tuple[int, ...] = WIDTHS, classes: int = 4) -> nn.Module:
    """Build strided 3 × 3 convolutions with batch normalization, then mean and maximum over the image."""

    class MeanAndMaximum(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)

    layers: list[nn.Module] = []
    for channels_in, channels in zip((3, *widths[:-1]), widths, strict=True):
        convolution = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers, MeanAndMaximum(), nn.Linear(2 * widths[-1], classes))


def turned(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn or mirror a batch: a smear has no upright."""
    code = int(torch.randint(8, (), generator=generator))
    if code & 4:
        images = images.transpose(2, 3)
    return images.flip([axis for axis, bit in ((2, 1), (3, 2)) if code & bit])


def score_cnn(train: Phantom, test: Phantom, degrade: Degradation, seed: int, epochs: int) -> np.ndarray:
    """Train one network on degraded images and return which test images it gets right, ``(N,)``."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, targets = degrade(torch.from_numpy(train.images)), torch.from_numpy(train.targets)
    mean, deviation = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    network, steps = small_cnn(), -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * steps)
    images = (images - mean) / deviation
    for _ in range(epochs):
        # Chunks of nearly equal size: batch normalization dislikes a last batch of two
        for index in torch.randperm(len(images), generator=generator).tensor_split(steps):
            loss = functional.cross_entropy(network(turned(images[index], generator)), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        scores = network((degrade(torch.from_numpy(test.images)) - mean) / deviation)
    return (scores.argmax(1) == torch.from_numpy(test.targets)).double().numpy()


def score_simple(train: Phantom, test: Phantom) -> dict[str, np.ndarray]:
    """Return the hits of the three classifiers that need no CNN."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def table(phantom: Phantom) -> np.ndarray:
        return np.stack(list(phantom.latents.values()), axis=1)

    linear = make_pipeline(StandardScaler(), LogisticRegression())
    rows = {
        "mean colour": (linear, lambda p: p.images.mean((2, 3))),
        "nearest pixels": (KNeighborsClassifier(5), lambda p: p.images.reshape(len(p.images), -1)),
        "oracle": (RandomForestClassifier(300, random_state=0), table),
    }
    return {
        name: (model.fit(features(train), train.targets).predict(features(test)) == test.targets).astype(float)
        for name, (model, features) in rows.items()
    }


def main() -> None:
    """Read the command line, run the conditions, print the table."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--train", type=int, default=TRAIN_IMAGES, help="training images")
    parser.add_argument("--test", type=int, default=TEST_IMAGES, help="test images")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--size", type=int, default=SIZE, help="pixels per side, a divisor of 128")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the network, not the data")
    names = list(CONDITIONS)
    parser.add_argument("--conditions", nargs="+", choices=names, default=names, help="rows of the table")
    parser.add_argument("--jobs", type=int, default=1, help="processes that render the images")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--out", help="CSV file to write")
    parser.add_argument("--fast", action="store_true", help=f"use {FAST}")
    settings = parser.parse_args()
    if settings.fast:
        vars(settings).update(FAST)
    print(vars(settings))
    torch.set_num_threads(settings.threads)

    start = time.perf_counter()
    train = make_phantom(settings.train, seed=TRAIN_SEED, size=settings.size, jobs=settings.jobs)
    test = make_phantom(settings.test, seed=TEST_SEED, size=settings.size, jobs=settings.jobs)
    seconds = time.perf_counter() - start
    print(f"{1000 * seconds / (settings.train + settings.test):.1f} ms per image\n")

    rows, full = [], None
    print("condition       accuracy  95 % interval    minus full   95 % interval     seconds")

    def report(name: str, hits: np.ndarray, seconds: float) -> None:
        score = cluster_bootstrap(hits, test.groups)
        row = {"condition": name, "seeds": len(hits), "slides": score.n_groups, "accuracy": score.estimate}
        row |= {"low": score.low, "high": score.high}
        text = f"{name:<15} {score.estimate:8.3f}  {score.low:.3f} … {score.high:.3f}"
        if full is not None and len(full) == len(hits) and name != "full":
            loss = paired_difference(hits, full, test.groups)
            row |= {"minus_full": loss.estimate, "minus_full_low": loss.low, "minus_full_high": loss.high}
            text += f"   {loss.estimate:+10.3f}  {loss.low:+.3f} … {loss.high:+.3f}"
        print(f"{text} {seconds:9.0f}", flush=True)
        rows.append({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})

    for name in settings.conditions:
        start, degrade = time.perf_counter(), CONDITIONS[name]
        hits = np.stack([score_cnn(train, test, degrade, seed, settings.epochs) for seed in settings.seeds])
        full = hits if name == "full" else full
        report(name, hits, time.perf_counter() - start)
    for name, hits in score_simple(train, test).items():
        report(name, hits[None], 0.0)
    if settings.out:
        with open(settings.out, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
