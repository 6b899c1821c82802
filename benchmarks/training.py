"""Training throughput of the loop against a plain script, same network, same images, one run.

    python benchmarks/training.py                     # JPEGs made for the purpose, 320×240
    python benchmarks/training.py --data DIR          # the real folder

The plain script is what class projects write: PIL decodes and resizes each JPEG in a DataLoader with two workers, NCHW,
the same convolutions, cross entropy, Adam. The loop reads its decoded cache, augments, trains channels-last with one
thread per process, and validates nothing here. Reported: images per second, median over epochs after the first.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from physlayer.data.image_set import ImageSet
from physlayer.tasks.blood_cells import TASK
from physlayer.tasks.blood_cells.kaggle import load_folder
from physlayer.tasks.networks import ConvolutionalNetwork
from physlayer.training.loop import fit
from physlayer.training.recipe import Recipe

HEIGHT, WIDTH, BATCH = 60, 80, 64


class Jpegs(Dataset):
    """Decode on every access, as a first script does."""

    def __init__(self, files: list[Path], targets: torch.Tensor):
        self.files, self.targets = files, targets

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int):
        with Image.open(self.files[index]) as image:
            pixels = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT)), dtype=np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), self.targets[index]


class Plain(nn.Module):
    """The same convolutions without the channels-last step."""

    def __init__(self):
        super().__init__()
        self.network = ConvolutionalNetwork(3, 4)

    def forward(self, x):
        return self.network.classifier(self.network.features(x).mean((2, 3)))


def plain_epochs(files: list[Path], targets: torch.Tensor, epochs: int) -> list[float]:
    model = Plain()
    optimizer = torch.optim.Adam(model.parameters())
    loader = DataLoader(Jpegs(files, targets), batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    rates = []
    for _ in range(epochs):
        start = time.perf_counter()
        for images, target in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(images), target).backward()
            optimizer.step()
        rates.append(len(files) / (time.perf_counter() - start))
    return rates


def loop_epochs(images: ImageSet, epochs: int) -> list[float]:
    stamps = []

    def stamped(batch, targets, generator):
        stamps.append(time.perf_counter())
        return TASK.augment(batch, targets, generator)

    one = images.subset(torch.arange(4))
    recipe = Recipe(epochs=epochs, batch_size=BATCH)
    fit(ConvolutionalNetwork(3, 4), images, one, recipe, seed=0, augment=stamped)
    steps = -(-len(images) // BATCH)
    starts = [*stamps[::steps], 2 * stamps[-1] - stamps[-2]]
    return [len(images) / (b - a) for a, b in pairwise(starts)]


def make_folder(folder: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    for split in ("TRAIN", "TEST"):
        for name in ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"):
            (folder / "images" / split / name).mkdir(parents=True)
            for k in range(count // 4 if split == "TRAIN" else 2):
                small = generator.integers(0, 255, (24, 32, 3), dtype=np.uint8)
                image = Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC)
                image.save(folder / "images" / split / name / f"{k}.jpeg", quality=90)
    rows = [f"{p.relative_to(folder / 'images').as_posix()},{p.parent.name}{p.stem}" for p in folder.rglob("*.jpeg")]
    (folder / "groups.csv").write_text("file,group\n" + "\n".join(rows) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, groups = args.data, None
        if folder is None:
            folder, groups = Path(temporary), Path(temporary) / "groups.csv"
            make_folder(folder, args.images)
        pool, _, _, _ = load_folder(folder, groups=groups, cache=temporary, progress=False)
        every = torch.linspace(0, len(pool) - 1, min(args.images, len(pool))).long()
        images = pool.subset(every)
        files = sorted(folder.rglob("TRAIN/*/*.jpeg"))
        files = [files[i] for i in torch.linspace(0, len(files) - 1, len(images)).long().tolist()]
        plain = statistics.median(plain_epochs(files, images.targets, args.epochs)[1:])
        ours = statistics.median(loop_epochs(images, args.epochs)[1:])
    print(f"{len(images)} images of {WIDTH}×{HEIGHT}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"plain script {plain:8.0f} images/s")
    print(f"physlayer    {ours:8.0f} images/s   {ours / plain:.2f} times the plain script")


if __name__ == "__main__":
    main()
