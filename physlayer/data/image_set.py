"""Image sets in linear light, and the data of a task, split by source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from physlayer.color.srgb import linear_to_srgb, srgb_to_linear
from physlayer.data.splits import group_codes, group_split
from physlayer.problems.base import Problem
from physlayer.problems.classification import Classification

__all__ = ["ENCODINGS", "ImageSet", "TaskData", "fingerprint"]

ENCODINGS = ("linear", "srgb")
KINDS = {torch.int64: 1, torch.float32: 2, torch.uint8: 3}  # of targets, with their number of axes
DEVELOPMENT_FRACTION, DEVELOPMENT_SEED = 0.25, 548  # the same sources for everybody, whatever seeds are run


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with a target and a source each.

    Args:
        images: ``(N, C, H, W)``; uint8 codes, or float32 as a fraction of full scale, 0 to 1.
        targets: class of each image, int64, ``(N,)``; or numbers, float32, ``(N, K)``; or a mask of 0 and 1, uint8,
            ``(N, H, W)``.
        groups: source image, patient or slide of each image, ``(N,)`` strings.
        encoding: ``"linear"`` (values proportional to light) or ``"srgb"`` (sRGB-encoded values).

    Raises:
        ValueError: if a shape, dtype, range or the encoding is wrong.

    Example:
        >>> images = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
        >>> image_set = ImageSet(images, torch.tensor([0, 1]), np.array(["a", "b"]), "srgb")
        >>> len(image_set), image_set.classes, image_set.batch(torch.tensor([1])).shape
        (2, (0, 1), torch.Size([1, 3, 4, 5]))
    """

    images: Tensor
    targets: Tensor
    groups: np.ndarray
    encoding: str

    def __post_init__(self) -> None:
        _check_images(self.images)
        if not isinstance(self.targets, Tensor) or self.targets.dtype not in KINDS:
            kinds = "int64 classes, float32 numbers or uint8 masks"
            raise ValueError(f"Expected targets to be {kinds}, but got {_kind(self.targets)}; use targets.long().")
        if self.targets.ndim != KINDS[self.targets.dtype]:
            raise ValueError(
                f"Expected targets of {self.targets.dtype} to have {KINDS[self.targets.dtype]} axes, but got shape "
                f"{tuple(self.targets.shape)}: classes are (N,), numbers (N, K), masks (N, H, W)."
            )
        if not isinstance(self.groups, np.ndarray) or self.groups.dtype.kind != "U":
            got = _kind(self.groups)
            raise ValueError(f"Expected groups to be an array of str, but got {got}; use np.array(groups, str).")
        if len(self.targets) != len(self.images):
            raise ValueError(f"Expected one target per image, {len(self.images)}, but got {len(self.targets)}.")
        if tuple(self.groups.shape) != (len(self.images),):
            raise ValueError(f"Expected groups to have shape ({len(self.images)},), but got {self.groups.shape}.")
        if self.targets.dtype == torch.int64 and self.targets.min() < 0:
            raise ValueError(f"Expected targets to be 0 or more, but got {int(self.targets.min())}.")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"Expected encoding to be one of {ENCODINGS}, but got {self.encoding!r}.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that occur, ascending; 0 alone where targets are numbers or masks."""
        return tuple(self.strata.unique().tolist())

    @cached_property
    def strata(self) -> Tensor:
        """Within which sources are split and drawn, int64, ``(N,)``: the classes, or all images together."""
        return self.targets if self.targets.dtype == torch.int64 else torch.zeros(len(self), dtype=torch.int64)

    @cached_property
    def group_codes(self) -> Tensor:
        """The sources as int64 numbers, ``(N,)``, ordered by name."""
        return group_codes(self.groups)

    def batch(self, index: Tensor, *, linear: bool = True) -> Tensor:
        """Images ``index`` as float32 ``(B, C, H, W)``, 1 = full scale: linear light, or sRGB-encoded values.

        Raises:
            IndexError: if an index is outside the set.
        """
        images = self.images[index]
        if images.dtype == torch.uint8:
            table = self._convert(torch.arange(256, device=images.device, dtype=torch.float32) / 255, linear)
            return table.index_select(0, images.int().flatten()).reshape(images.shape)
        return self._convert(images, linear).contiguous()

    def subset(self, index: Tensor) -> ImageSet:
        """The images ``index`` as an ``ImageSet`` of their own."""
        groups = self.groups[index.cpu().numpy()]
        return ImageSet(self.images[index], self.targets[index], groups, self.encoding)

    def _convert(self, values: Tensor, linear: bool) -> Tensor:
        if linear:
            return srgb_to_linear(values) if self.encoding == "srgb" else values
        return linear_to_srgb(values) if self.encoding == "linear" else values


@dataclass(frozen=True, eq=False)
class TaskData:
    """The data of a task: a pool to train and validate on, and a test set of other sources.

    Args:
        name: name of the task.
        problem: what is asked of an image; a tuple of class names for a classification.
        pool: images for training and validation.
        test: images evaluated once at the end.
        fingerprint: SHA-256 over all that determines a split.
        notes: what a report must say about the data.

    Raises:
        ValueError: if pool and test differ in image shape or encoding, or targets do not fit the problem.
    """

    name: str
    problem: Problem
    pool: ImageSet
    test: ImageSet
    fingerprint: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pool, test = ((*part.images.shape[1:], part.encoding) for part in (self.pool, self.test))
        if pool != test:
            raise ValueError(f"Expected test to have pool's shape and encoding {pool}, but got {test}.")
        if isinstance(self.problem, tuple):
            object.__setattr__(self, "problem", Classification(self.problem))
        for part in (self.pool, self.test):
            self.problem.check(part.targets, part.images)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """What a split names the strata: the classes, or all images together."""
        classes = self.problem.kind == "classification"
        return tuple(self.problem.describe()["class_names"]) if classes else ("of all images",)

    def split(self, seed: int, validation_fraction: float = 0.2) -> dict[str, ImageSet]:
        """Pool and test as ``{"train", "validation", "test"}``; no source is on both sides of the first two.

        Raises:
            ValueError: as :func:`group_split`.
        """
        pool = self.pool
        train, validation = group_split(
            pool.strata, pool.group_codes, validation_fraction, seed, class_names=self.stratum_names
        )
        return {"train": pool.subset(train), "validation": pool.subset(validation), "test": self.test}

    def development(self) -> TaskData:
        """The same task without its test set: a fixed quarter of the pool's sources stands in for it.

        Settings chosen on this leave the true test set unseen.

        Raises:
            ValueError: as :func:`group_split`.
        """
        pool = self.pool
        rest, held_out = group_split(
            pool.strata, pool.group_codes, DEVELOPMENT_FRACTION, DEVELOPMENT_SEED, class_names=self.stratum_names
        )
        note = "DEVELOPMENT: a fixed quarter of the training sources stands in for the test set, which was not used."
        return TaskData(
            self.name, self.problem, pool.subset(rest), pool.subset(held_out),
            fingerprint(self.fingerprint, held_out), (note, *self.notes),
        )  # fmt: skip


def fingerprint(*parts: ImageSet | Tensor | np.ndarray | str) -> str:
    """SHA-256 over type, shape and values of image sets, tensors, arrays of names and words, hexadecimal.

    Give it everything a split depends on, the sources too: images alone do not say who may see them.

    Example:
        >>> len(fingerprint(torch.zeros(1, 1, 2, 2), torch.zeros(1).long(), np.array(["a"]), "linear"))
        64
    """
    digest = hashlib.sha256()
    for part in parts:
        pieces = (part.images, part.targets, part.groups, part.encoding) if isinstance(part, ImageSet) else (part,)
        for piece in pieces:
            values = piece.detach().cpu().numpy() if isinstance(piece, Tensor) else np.asarray(piece)
            values = np.ascontiguousarray(values)
            digest.update(f"{values.dtype.str} {values.shape}".encode())
            digest.update(values.tobytes() if values.dtype.kind == "U" else values.data)
    return digest.hexdigest()


def _check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor) or images.dtype not in (torch.uint8, torch.float32):
        raise ValueError(f"Expected images to be a uint8 or float32 tensor, but got {_kind(images)}.")
    shape, fix = tuple(images.shape), ""
    if images.ndim == 3:
        fix = "; use images.unsqueeze(1)"
    elif images.ndim == 4 and shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4):
        fix = ", which looks like (N, H, W, C); use images.permute(0, 3, 1, 2)"
    if fix or images.ndim != 4 or images.numel() == 0:
        raise ValueError(f"Expected images to have shape (N, C, H, W), none of them 0, but got {shape}{fix}.")
    if images.dtype == torch.float32:
        low, high = (float(value) for value in images.aminmax())
        if not (low >= 0 and high <= 1):  # also refuses NaN
            raise ValueError(f"Expected images to lie in 0 to 1, but got {low:g} to {high:g}; divide by full scale.")


def _kind(value: object) -> str:
    return str(value.dtype) if isinstance(value, (Tensor, np.ndarray)) else type(value).__name__
