"""Image sets in linear light, splits by source, and class-balanced epochs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from physlayer.light import linear_to_srgb, srgb_to_linear

ENCODINGS = ("linear", "srgb")
SPLIT_ATTEMPTS = 100
DEVELOPMENT_FRACTION, DEVELOPMENT_SEED = 0.25, 548  # the same sources for everybody, whatever seeds are run


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with a class and a source each.

    Args:
        images: ``(N, C, H, W)``; uint8 codes, or float32 as a fraction of full scale, 0 to 1.
        targets: class of each image, int64, ``(N,)``.
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
        shape = (len(self.images),)
        if not isinstance(self.targets, Tensor) or self.targets.dtype != torch.int64:
            raise ValueError(f"Expected targets to be int64, but got {_kind(self.targets)}; use targets.long().")
        if not isinstance(self.groups, np.ndarray) or self.groups.dtype.kind != "U":
            got = _kind(self.groups)
            raise ValueError(f"Expected groups to be an array of str, but got {got}; use np.array(groups, str).")
        for name, values in (("targets", self.targets), ("groups", self.groups)):
            if tuple(values.shape) != shape:
                raise ValueError(f"Expected {name} to have shape {shape}, but got {tuple(values.shape)}.")
        if self.targets.min() < 0:
            raise ValueError(f"Expected targets to be 0 or more, but got {int(self.targets.min())}.")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"Expected encoding to be one of {ENCODINGS}, but got {self.encoding!r}.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that occur, ascending."""
        return tuple(self.targets.unique().tolist())

    @cached_property
    def group_codes(self) -> Tensor:
        """The sources as int64 numbers, ``(N,)``, ordered by name."""
        return _codes(self.groups)

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
        class_names: target ``k`` means ``class_names[k]``.
        pool: images for training and validation.
        test: images evaluated once at the end.
        fingerprint: SHA-256 over all that determines a split.
        notes: what a report must say about the data.

    Raises:
        ValueError: if pool and test differ in image shape or encoding, or a target has no class name.
    """

    name: str
    class_names: tuple[str, ...]
    pool: ImageSet
    test: ImageSet
    fingerprint: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pool, test = ((*part.images.shape[1:], part.encoding) for part in (self.pool, self.test))
        if pool != test:
            raise ValueError(f"Expected test to have pool's shape and encoding {pool}, but got {test}.")
        largest = max(self.pool.classes + self.test.classes)
        if largest >= len(self.class_names):
            count = len(self.class_names)
            raise ValueError(f"Expected class_names to name target {largest}, but got {count} names.")

    def split(self, seed: int, validation_fraction: float = 0.2) -> dict[str, ImageSet]:
        """Pool and test as ``{"train", "validation", "test"}``; no source is on both sides of the first two.

        Raises:
            ValueError: as :func:`group_split`.
        """
        pool = self.pool
        train, validation = group_split(
            pool.targets, pool.group_codes, validation_fraction, seed, class_names=self.class_names
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
            pool.targets, pool.group_codes, DEVELOPMENT_FRACTION, DEVELOPMENT_SEED, class_names=self.class_names
        )
        note = "DEVELOPMENT: a fixed quarter of the training sources stands in for the test set, which was not used."
        return TaskData(
            self.name, self.class_names, pool.subset(rest), pool.subset(held_out),
            fingerprint(self.fingerprint, held_out), (note, *self.notes),
        )  # fmt: skip


def group_split(
    targets: Tensor,
    groups: np.ndarray | Tensor,
    fraction: float,
    seed: int,
    *,
    class_names: Sequence[str] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Split by source, class by class, so that all copies of a source fall on one side.

    .. math:: n_k = \mathrm{clip}(\mathrm{round}(f\,s_k),\, 1,\, s_k - 1)

    of the :math:`s_k` sources of class :math:`k` go to validation. Rare classes choose first; a source of
    several classes counts for each, so :math:`n_k` may then be missed by a few.

    Args:
        targets: class of each image, int64, ``(N,)``.
        groups: source of each image, names or integer codes, ``(N,)``.
        fraction: :math:`f`, wanted share of the sources in validation, between 0 and 1.
        seed: the split; the same seed gives the same split.
        class_names: names for the error message.

    Returns:
        Ascending indices ``(train, validation)``, int64.

    Raises:
        ValueError: if ``fraction`` is not in 0…1, or a class cannot be on both sides.

    Example:
        >>> train, validation = group_split(torch.zeros(6).long(), np.array(list("aabbcc")), 0.3, seed=0)
        >>> len(train), len(validation)
        (4, 2)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"Expected fraction to lie between 0 and 1, but got {fraction}.")
    codes = _paired_codes(targets, groups)
    classes, labels = torch.unique(targets, return_inverse=True)
    names = [class_names[k] if class_names else str(k) for k in classes.tolist()]
    holds = torch.zeros(int(codes.max()) + 1, len(classes), dtype=torch.bool)
    holds[codes, labels] = True
    for name, sources in zip(names, holds.sum(0).tolist(), strict=True):
        if sources < 2:
            raise ValueError(
                f"Expected class {name} to have at least 2 sources, for training and validation, "
                f"but got {sources}; add another source or leave the class out."
            )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(SPLIT_ATTEMPTS):
        held_out = _draw_sides(holds, fraction, generator)
        if (holds[held_out].any(0) & holds[~held_out].any(0)).all():
            chosen = held_out[codes]
            return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()
    raise ValueError(
        f"Expected sources to let every class be on both sides, but got none in {SPLIT_ATTEMPTS} draws; "
        "check the groups: many hold several classes."
    )


def epoch_order(
    targets: Tensor, groups: np.ndarray | Tensor, *, per_class: int | None, generator: torch.Generator
) -> Tensor:
    r"""Order of an epoch with equal weight for every class, and for every source within its class.

    .. math:: m_s \in \{\lfloor m / s_k \rfloor, \lceil m / s_k \rceil\}, \quad \sum_s m_s = m

    Of source :math:`s`, :math:`m_s` images are drawn; one repeats only after all others of the source.

    Args:
        targets: class of each image, int64, ``(N,)``.
        groups: source of each image, names or (faster) integer codes, ``(N,)``.
        per_class: :math:`m`, images per class; ``None`` takes every image once.
        generator: the randomness (a CPU generator).

    Returns:
        Indices, int64, ``(classes * m,)`` or ``(N,)``.

    Raises:
        ValueError: if ``per_class`` is not 1 or more.

    Example:
        >>> targets = torch.tensor([0, 0, 0, 1])
        >>> order = epoch_order(targets, np.array(list("aabc")), per_class=2, generator=torch.Generator())
        >>> targets[order].sort().values
        tensor([0, 0, 1, 1])
    """
    if per_class is None:
        return torch.randperm(len(targets), generator=generator)
    if per_class < 1:
        raise ValueError(f"Expected per_class to be 1 or more, or None for all images, but got {per_class}.")
    codes = _paired_codes(targets, groups)
    _, labels = torch.unique(targets, return_inverse=True)
    n_codes = int(codes.max()) + 1
    sources, source, copies = torch.unique(labels * n_codes + codes, return_inverse=True, return_counts=True)
    # images sorted by source (hence by class), in random order within each
    shuffled = torch.randperm(len(targets), generator=generator)
    by_source = shuffled[source[shuffled].argsort(stable=True)]

    # each source gets the floor of its share, and randomly chosen ones of its class the remainder
    source_class = sources // n_codes
    counts = torch.bincount(source_class)
    lottery = torch.randperm(len(sources), generator=generator)
    lottery = lottery[source_class[lottery].argsort(stable=True)]
    rank = torch.empty_like(lottery)
    rank[lottery] = torch.arange(len(sources)) - _starts(counts)[source_class]
    share = counts[source_class]
    quota = per_class // share + (rank < per_class % share)

    owner = torch.repeat_interleave(torch.arange(len(sources)), quota)
    turn = torch.arange(len(owner)) - _starts(quota)[owner]
    order = by_source[_starts(copies)[owner] + turn % copies[owner]]
    return order[torch.randperm(len(order), generator=generator)]


def fingerprint(*parts: Tensor | np.ndarray | str) -> str:
    """SHA-256 over type, shape and values of tensors, arrays of names and words, hexadecimal.

    Give it everything a split depends on, the sources too: images alone do not say who may see them.

    Example:
        >>> len(fingerprint(torch.zeros(1, 1, 2, 2), torch.zeros(1).long(), np.array(["a"]), "linear"))
        64
    """
    digest = hashlib.sha256()
    for part in parts:
        values = part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part)
        values = np.ascontiguousarray(values)
        digest.update(f"{values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes() if values.dtype.kind == "U" else values.data)
    return digest.hexdigest()


def _starts(counts: Tensor) -> Tensor:
    return counts.cumsum(0) - counts


def _draw_sides(holds: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Boolean ``(sources,)``: which go to validation, given ``holds`` ``(sources, classes)``."""
    side = torch.full((len(holds),), -1)
    for label in holds.sum(0).argsort(stable=True):
        members = holds[:, label].nonzero().flatten()
        wanted = min(max(round(fraction * len(members)), 1), len(members) - 1)
        free = members[side[members] < 0]
        free = free[torch.randperm(len(free), generator=generator)]
        missing = max(wanted - int((side[members] == 1).sum()), 0)
        side[free] = 0
        side[free[:missing]] = 1
    return side == 1


def _paired_codes(targets: Tensor, groups: np.ndarray | Tensor) -> Tensor:
    if targets.ndim != 1 or len(targets) == 0 or len(groups) != len(targets):
        raise ValueError(
            "Expected one target and one group per image, "
            f"but got {tuple(targets.shape)} targets and {len(groups)} groups."
        )
    return _codes(groups)


def _codes(groups: np.ndarray | Tensor) -> Tensor:
    if isinstance(groups, Tensor):
        return torch.unique(groups, return_inverse=True)[1]
    return torch.from_numpy(np.unique(groups, return_inverse=True)[1].astype(np.int64))


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
