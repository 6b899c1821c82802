"""One training loop for all tasks: physics and network together, judged hard, the best epoch kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from physlayer.color.srgb import linear_to_srgb
from physlayer.core.audit import MovementAudit, audit_gradients, parameter_groups
from physlayer.core.camera import physical_layers
from physlayer.core.files import atomic_write
from physlayer.core.randomness import seed_noise
from physlayer.data.image_set import ImageSet
from physlayer.data.splits import epoch_order
from physlayer.problems.base import Problem
from physlayer.problems.classification import Classification
from physlayer.training.optimization import RunningMean, one_cycle
from physlayer.training.prediction import predict
from physlayer.training.recipe import Recipe

__all__ = ["FitResult", "TrainingError", "fit", "seeded"]

LONGEST_WARM_UP = 0.3  # of the training: in one epoch the physics must learn too
GAP_IMAGES = 256  # validation images on which soft and hard readings are compared each epoch


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped and what to change."""


@dataclass
class FitResult:
    """What training left behind: the history, the epoch that was kept, and the audits."""

    history: list[dict]
    best_epoch: int
    gradients: dict[str, str]
    movement: dict[str, dict]
    warnings: list[str]


class seeded:
    """Run a block with torch's global generator seeded, and put it back afterwards.

    Layers' default initialisers and dropout know no ``generator=``; this keeps them explicit all the same.

    Example:
        >>> with seeded(3): a = torch.rand(1)
        >>> with seeded(3): b = torch.rand(1)
        >>> bool(a == b)
        True
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __enter__(self) -> None:
        self.fork = torch.random.fork_rng()
        self.fork.__enter__()
        torch.manual_seed(self.seed)

    def __exit__(self, *exception) -> None:
        self.fork.__exit__(*exception)


def fit(
    model: nn.Module,
    train: ImageSet,
    validation: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    problem: Problem | None = None,
    augment: Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]] | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
    checkpoint: str | Path | None = None,
    log_dir: str | Path | None = None,
) -> FitResult:
    """Train ``model`` and leave it with the weights of the best validation epoch, in ``eval()``.

    The order of the data, the augmentation and dropout depend on ``seed`` alone, so that models trained with the
    same seed see the same images in the same order. Each epoch is scored on the *hard* reading; ``gap`` is the soft
    minus the hard score on up to 256 validation images.

    Args:
        model: physical layers and network giving what the problem asks for, logits ``(B, K)`` for classes.
        train, validation: image sets of different sources.
        recipe: the settings. seed: order, augmentation, dropout.
        problem: what is asked of an image; ``None`` for its class.
        augment: acts on scenes before the sensor, ``(images, targets, generator) -> (images, targets)``.
        device: where to train. progress: show a bar. checkpoint: file for the best weights.
        log_dir: folder for TensorBoard.

    Raises:
        TrainingError: if the loss is not finite.
    """
    device = torch.device(device)
    model.to(device)
    if problem is None:
        problem = Classification(tuple(map(str, range(1 + int(max(s.targets.max() for s in (train, validation)))))))
    generator = torch.Generator().manual_seed(seed)
    groups = parameter_groups(model, lr=recipe.lr, lr_physics=recipe.lr_physics, weight_decay=recipe.weight_decay)
    if not groups:
        raise TrainingError("Expected the model to have parameters to train, but got none that requires a gradient.")
    optimizer = torch.optim.AdamW(groups, fused=True)
    per_epoch = len(
        epoch_order(train.strata, train.group_codes, per_class=recipe.images_per_class, generator=generator)
    )
    steps = recipe.epochs * math.ceil(per_epoch / recipe.batch_size)
    wait = min(recipe.warm_up / recipe.epochs, LONGEST_WARM_UP)
    schedules = [one_cycle(steps, wait if group["name"] == "physics" else 0.0) for group in groups]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, schedules)
    averaged = RunningMean(model, recipe.average)
    validation = _thinned(validation, recipe.validation_per_class)
    seed_noise(model, seed)
    writer, audit = _tensorboard(log_dir), MovementAudit(model)
    best, history, gradients = (-math.inf, -math.inf), [], {}
    best_state: dict[str, Tensor] = {}
    bar = _progress_bar(recipe.epochs, progress)
    with seeded(seed):
        for epoch in range(1, recipe.epochs + 1):
            order = epoch_order(train.strata, train.group_codes, per_class=recipe.images_per_class, generator=generator)
            loss = _train_epoch(
                model, problem, train, order, recipe, optimizer, schedule, augment, generator, device, epoch, averaged
            )
            gradients = audit_gradients(model, optimizer)
            entry = {"epoch": epoch, "loss": loss} | _validate(averaged.model, problem, validation, recipe, device)
            history.append(entry)
            if writer:
                for key, value in entry.items():
                    writer.add_scalar(key, value, epoch)
            score = (entry["validation_hard"] * (1 if problem.higher_is_better else -1), -entry["validation_loss"])
            if score > best:
                best, best_epoch = score, epoch
                best_state = copy.deepcopy(averaged.model.state_dict())
                kept = {"state": best_state, "epoch": epoch, "recipe": recipe.as_dict(), "seed": seed}
                _save(checkpoint, kept)
            bar.set_postfix(loss=f"{loss:.3f}", validation=f"{entry['validation_hard']:.3f}")
            bar.update()
            if recipe.patience and epoch - best_epoch >= recipe.patience:
                break
    bar.close()
    if writer:
        writer.close()
    model.load_state_dict(best_state)
    model.eval()
    warnings = [line for line in audit.sentence(model).splitlines() if "did not move" in line]
    warnings += [
        f"{name}: {state} after the last step" for name, state in gradients.items() if state not in ("ok", "frozen")
    ]
    movement = {name: asdict(m) for name, m in audit.report(model).items()}
    return FitResult(history, best_epoch, gradients, movement, warnings)


def _train_epoch(
    model, problem, train, order, recipe, optimizer, schedule, augment, generator, device, epoch, averaged
):
    model.train()
    total = torch.zeros((), device=device)
    targets = train.targets[order]
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    network = next(group["params"] for group in optimizer.param_groups if group["name"] == "network")
    penalised = [weights for weights in network if weights.ndim > 1]
    for number, start in enumerate(range(0, len(order), recipe.batch_size), 1):
        # the scene changes in linear light, whatever the sensor is shown of it
        changed = augment is not None and recipe.augment
        images = train.batch(order[start : start + recipe.batch_size], linear=recipe.linear or changed).to(device)
        target = targets[start : start + recipe.batch_size].to(device)
        if changed:
            images, target = augment(images, target, generator)
            images = images if recipe.linear else linear_to_srgb(images)
        loss = problem.loss(model(images), target, recipe.label_smoothing)
        if recipe.l1:
            loss = loss + recipe.l1 * sum(weights.abs().sum() for weights in penalised)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(trained, recipe.gradient_clip)
        if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"Expected a finite loss and gradient, but got loss {float(loss.detach()):g} and gradient norm "
                f"{float(norm):g} in epoch {epoch}, batch {number}; lower lr (now {recipe.lr:g}) or "
                f"lr_physics, or look for a layer that divides by zero."
            )
        optimizer.step()
        schedule.step()
        averaged.update(model)
        total += loss.detach() * len(target)
    return float(total) / len(order)


def _thinned(images: ImageSet, per_class: int | None) -> ImageSet:
    """A fixed draw, even over sources: copies of one source say little more about an epoch than a few of them."""
    if per_class is None:
        return images
    generator = torch.Generator().manual_seed(0)
    return images.subset(epoch_order(images.strata, images.group_codes, per_class=per_class, generator=generator))


def _validate(
    model: nn.Module, problem: Problem, validation: ImageSet, recipe: Recipe, device: torch.device
) -> dict[str, float]:
    outputs = predict(model, validation, linear=recipe.linear, device=device)
    scores = problem.score_images(outputs, validation.targets)
    loss = problem.loss(outputs, validation.targets)
    few = torch.linspace(0, len(validation) - 1, min(GAP_IMAGES, len(validation))).long()
    model.eval()
    for _, layer in physical_layers(model):
        layer.train()  # the surrogate reading into the deployed network: what a leak would look like
    with torch.no_grad():
        soft = model(validation.batch(few, linear=recipe.linear).to(device)).float().cpu()
    model.eval()
    soft_scores = problem.score_images(soft, validation.targets[few])
    return {
        "validation_hard": float(scores.mean()),
        "validation_loss": float(loss),
        "gap": float(soft_scores.mean() - scores[few].mean()),
    }


def _save(path: str | Path | None, content: dict) -> None:
    if path is None:
        return
    atomic_write(path, lambda file: torch.save(content, file))


def _tensorboard(log_dir: str | Path | None):
    if log_dir is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            "Expected tensorboard to be installed for log_dir; pip install 'physlayer[tensorboard]'."
        ) from error
    return SummaryWriter(str(log_dir))


def _progress_bar(epochs: int, show: bool):
    from tqdm import tqdm

    return tqdm(total=epochs, unit="epoch", disable=not show, leave=False)
