"""What the options of a sweep mean: seeds, arms, counts."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from physlayer.experiment.spec import Sweep, Variant, retrained

__all__ = ["check_counts", "chosen_variants", "folder_name", "parse_seeds"]


def parse_seeds(text: str) -> list[int]:
    """``3`` is seeds 0, 1, 2; a list names them.

    Example:
        >>> parse_seeds("2"), parse_seeds("4,7")
        ([0, 1], [4, 7])
    """
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ValueError(f"Expected --seeds to be a count such as 3 or a list such as 4,5, but got {text!r}.")
    if "," in text:
        return sorted({int(part) for part in text.split(",")})
    if int(text) < 1:
        raise ValueError(f"Expected --seeds to be 1 or more, but got {text}.")
    return list(range(int(text)))


def chosen_variants(sweep: Sweep, text: str, *, retrain: bool) -> list[Variant]:
    """The arms named in ``text``, with the bound and, for ``retrain``, the frozen copies."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError(f"Expected --variants to name at least one arm, but got {text!r}.")
    chosen = [sweep.variant(name) for name in dict.fromkeys([*names, sweep.bound])]
    needed = [v.camera_from or (v.model_from[0] if v.model_from else "") for v in chosen]
    chosen += [sweep.variant(name) for name in dict.fromkeys(needed) if name and name not in {v.name for v in chosen}]
    if retrain:
        chosen += [retrained(v) for v in chosen if v.learned and not v.translate]
    return chosen


def check_counts(args: argparse.Namespace) -> None:
    """Refuse counts below one and devices that are not there."""
    for name in ("epochs", "jobs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"Expected --{name} to be 1 or more, but got {value}.")
    import torch

    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"Expected --device to be available, but got {args.device!r}: {reason}") from error


def folder_name(data: str | None, task: str) -> str:
    """Which of a task's sets it is, in a word for the figure."""
    if data is None:
        return "embedded"
    name = Path(data).resolve().name
    return "real" if name == task else name
