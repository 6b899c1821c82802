"""Back from records and files to what a report shows: trained models, probabilities, learned maps."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.core.camera import export_camera
from physlayer.data.image_set import TaskData
from physlayer.experiment import runner as engine
from physlayer.experiment.build import assemble, chosen_candidate, point_of
from physlayer.experiment.camera_maps import is_map, learned_quantities
from physlayer.experiment.problem_info import Asked, asked
from physlayer.experiment.spec import Sweep, Variant
from physlayer.saliency.maps import saliency
from physlayer.saliency.model_parts import split_camera
from physlayer.saliency.parameter_maps import parameter_saliency

__all__ = [
    "Material",
    "parameter_sensitivity",
    "readings",
    "rebuild_model",
    "saliency_maps",
]

MOST_EXAMPLES = 6  # classes shown as images
ROUNDING = 1e-5  # records keep seven digits: a smaller spread is no pattern
OUTLIERS = 0.99  # of a gradient's pixels lie inside the colour scale, or one pixel would bleach all maps
SENSITIVITY_IMAGES = 4  # per class, for the gradient with respect to the physical parameters


def rebuild_model(sweep: Sweep, variant: Variant, record: dict, out: Path, settings: dict) -> nn.Sequential:
    """The trained camera and network of a record, on the CPU, in ``eval()``.

    Args:
        sweep: the sweep of the record. variant: the arm of the record. record: a whole record.
        out: output folder, with ``models/``. settings: ``{"options": …}`` of the task, as in the engine.

    Raises:
        ValueError: if the data is no longer that of the record, or the record is of another sweep or arm.
        OSError: if the file of the model is missing.
    """
    from physlayer.tasks.base import get_task

    config = record["config"]
    if (config["sweep"], config["variant"]) != (sweep.name, variant.name):
        found = f"{config['variant']} of {config['sweep']}"
        raise ValueError(f"Expected record to be of {variant.name} of {sweep.name}, but got {found}.")
    state = torch.load(out / "models" / f"{record['key']}.pt", weights_only=True, map_location="cpu")
    data = data_of(record, settings)
    model = assemble(get_task(config["task"]), config, camera_at_start(variant, record, data), data)
    model.load_state_dict(state)
    return model.eval()


def camera_at_start(variant: Variant, record: dict, data: TaskData) -> list[nn.Module]:
    """The physical layers of a run as they were before training."""
    point = point_of(record["config"], data)
    searched = variant.candidates is not None and variant.source is None
    chosen = chosen_candidate(variant, point, record["search"], data.problem) if searched else {}
    layers = variant.camera(point, **chosen)
    return layers if variant.change is None else variant.change(layers, point.generator)


def data_of(record: dict, settings: dict) -> TaskData:
    """Data of the task, refused if it is not what the record was trained on."""
    data = engine.task_data(record["config"]["task"], settings["options"])
    if data.fingerprint != record["provenance"]["data"]:
        raise ValueError(
            f"Expected data to have the record's fingerprint {record['provenance']['data'][:12]}, "
            f"but got {data.fingerprint[:12]}; run the sweep again."
        )
    return data


@dataclass
class Material:
    """All that the sections of a report draw from.

    Args:
        sweep, variants, records, rows, test_set, out, settings: as for
            :func:`physlayer.experiment.report.page.write_report`.
    """

    sweep: Sweep
    variants: list[Variant]
    records: list[dict]
    rows: list[dict]
    test_set: dict
    out: Path
    settings: dict

    @functools.cached_property
    def values(self) -> list[float]:
        """The swept values, ascending."""
        return sorted({r["value"] for r in self.records if r["value"] is not None})

    @functools.cached_property
    def problem(self) -> Asked:
        """What the network was asked."""
        return asked(self.test_set)

    @functools.cached_property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the targets."""
        return list(self.problem.class_names)

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """Classes of the test images, ``(N,)``."""
        return np.array(self.test_set["targets"])

    def members(self, variant: Variant, value: float | None) -> list[dict]:
        """Records of an arm at a value, by seed."""
        own = [r for r in self.records if r["variant"] == variant.name and r["value"] == value]
        return sorted(own, key=lambda r: r["seed"])

    def ends(self, variants: list[Variant] | None = None) -> list[tuple[Variant, float | None]]:
        """Arms at their lowest and highest value, those that have records."""
        ends = sorted({self.values[0], self.values[-1]}) if self.values else []
        points = [(v, x) for v in variants or self.variants for x in (ends if v.swept else [None])]
        return [(v, x) for v, x in points if self.members(v, x)]

    def points(self) -> list[tuple[Variant, float | None]]:
        """Every arm and value that has records."""
        found = itertools.product(self.variants, [*self.values, None])
        return [(v, x) for v, x in found if self.members(v, x)]

    def name(self, variant: Variant, value: float | None) -> str:
        """Short name of a point, for a panel."""
        arm = variant.name.replace("_retrained", "\nretrained")
        return arm if value is None else f"{arm}\n{self.sweep.parameter} {value:g}"

    def probabilities(self, record: dict) -> np.ndarray:
        """Test probabilities ``(N, K)`` of a record.

        Raises:
            OSError: if ``logits/`` lacks the file.
        """
        logits = torch.load(self.out / "logits" / f"{record['key']}.pt", weights_only=True)
        return torch.softmax(logits.double(), 1).numpy()

    def model(self, variant: Variant, record: dict) -> nn.Sequential:
        """As :func:`rebuild_model`, once per record."""
        if not hasattr(self, "_models"):
            self._models: dict[str, nn.Sequential] = {}
        if record["key"] not in self._models:
            self._models[record["key"]] = rebuild_model(self.sweep, variant, record, self.out, self.settings)
        return self._models[record["key"]]

    def examples(self, per_class: int = 1) -> tuple[Tensor, Tensor]:
        """First test images of each class as the scene the sensor gets, ``(B, C, H, W)``, and their class.

        Without classes the first images of as many sources, and the output to explain: the first number, the object.
        """
        record = self.records[0]
        test = data_of(record, self.settings).test
        if self.problem.kind == "classification":
            classes = list(test.classes)[:MOST_EXAMPLES]
            index = torch.cat([(test.targets == k).nonzero().flatten()[:per_class] for k in classes])
            return test.batch(index, linear=self.linear), test.targets[index]
        firsts = np.unique(test.groups, return_index=True)[1][: MOST_EXAMPLES * per_class]
        index = torch.from_numpy(np.sort(firsts))
        explained = torch.full((len(index),), 0 if self.problem.kind == "regression" else 1)
        return test.batch(index, linear=self.linear), explained

    def example_names(self, targets: Tensor) -> list[str]:
        """What stands beside an example: its class, or its place."""
        if self.problem.kind == "classification":
            return [self.class_names[int(k)] for k in targets]
        return [f"image {place + 1}" for place in range(len(targets))]

    @property
    def linear(self) -> bool:
        """Whether the sensor saw linear light, and not sRGB-encoded values."""
        return self.records[0]["config"]["recipe"]["linear"]


def readings(material: Material, variant: Variant, scenes: Tensor) -> dict[float, Tensor]:
    """What the arm's sensor reads of the scenes at each value, with the camera of the lowest seed."""
    found = {}
    for value in material.values:
        for record in material.members(variant, value)[:1]:
            with torch.no_grad():
                found[value] = split_camera(material.model(variant, record))[0](scenes)
    return found


def saliency_maps(material: Material, scenes: Tensor, targets: Tensor) -> dict[str, np.ndarray]:
    """Gradient (summed over channels) and Grad-CAM of the true class, ``(points, B, H, W)``, lowest seed.

    A network without convolutions has no Grad-CAM; it is then left out. Of a number both signs are shown: what makes it
    smaller is evidence, too.
    """
    models = [material.model(variant, material.members(variant, value)[0]) for variant, value in material.ends()]
    convolutional = all(any(isinstance(module, nn.Conv2d) for module in model.modules()) for model in models)
    found: dict[str, list] = {"gradient": [], "grad_cam": []} if convolutional else {"gradient": []}
    for model in models:
        for method, maps in found.items():
            shown = saliency(model, scenes, targets, method=method, relu=material.problem.kind != "regression")
            maps.append(shown.sum(1).detach().numpy())
    return {method: np.stack(maps) for method, maps in found.items()}


def scale_of(maps: np.ndarray) -> float:
    """Largest magnitude of a shared colour scale, above zero."""
    return float(np.quantile(np.abs(maps), OUTLIERS)) or 1e-12


def parameter_sensitivity(material: Material, variant: Variant, value: float) -> dict[str, np.ndarray]:
    """Mean size of the true class's gradient by each learned quantity: lowest seed, some test images."""
    record = material.members(variant, value)[0]
    if not learned_quantities(record):  # as at the end of an axis where nothing is left to learn
        return {}
    scenes, targets = material.examples(SENSITIVITY_IMAGES)
    model = material.model(variant, record)
    found = parameter_saliency(model, scenes, targets)
    return {name: gradient.abs().mean(0).detach().numpy() for name, gradient in found.items()}


def compared(material: Material) -> list[dict]:
    """Paired differences: all arms from the fixed one, learned from tuned ones, controls from their source."""
    from physlayer.experiment.summary import paired_rows

    names = [v.name for v in material.variants]
    swept = [v.name for v in material.variants if v.swept]
    baseline = material.sweep.baseline if material.sweep.baseline in names else swept[0]
    rows = paired_rows(material.records, material.test_set, baseline)
    pairs = [(v.name, "tuned") for v in material.variants if (v.learned or v.source) and "tuned" in names]
    for variant in (v for v in material.variants if v.source is not None):
        # A changed camera was followed by a fresh network; its fair partner is the unchanged one that was, too.
        partner = f"{variant.source}_retrained"
        pairs.append((variant.name, partner if variant.change and partner in names else variant.source))
    for name, other in pairs:
        if baseline not in (name, other):
            both = [r for r in material.records if r["variant"] in (name, other)]
            rows += paired_rows(both, material.test_set, other)
    return rows


def control_notes(material: Material, record: dict) -> list[str]:
    """What the changed camera of a control shares with its source, where that limits what the control can show."""
    variant = next(v for v in material.variants if v.name == record["variant"])
    source = next((r for r in material.records if r["key"] == record["config"].get("source")), None)
    if variant.change is None or source is None:
        return []
    before, notes = learned_quantities(source), []
    after = learned_quantities(record, fixed_too=True)
    pairs = {name: (before[name][0], after[name][0]) for name in before if name in after and is_map(after[name][0])}
    pairs = {name: pair for name, pair in pairs.items() if pair[0].size == pair[1].size}
    if pairs and all(np.array_equal(*pair) for pair in pairs.values()):
        return [f"the control changes nothing: {', '.join(pairs)} as in {source['variant']}"]
    for name, (old, new) in pairs.items():
        if not np.array_equal(np.sort(old.ravel()), np.sort(new.ravel())):
            notes.append(f"{name} differs from {source['variant']} in its values, not only in their places")
    return notes


def agreement(material: Material, variant: Variant, value: float, name: str) -> list[str]:
    """Number of seeds, and how the learned map and its change since the start correlate between them.

    Two maps that began alike agree even if nothing was learned, hence the change.
    """
    records = [r for r in material.members(variant, value) if name in learned_quantities(r)]
    ends = [learned_quantities(r)[name][0] for r in records]
    try:
        starts = []
        for record in records:
            data = data_of(record, material.settings)
            camera = nn.Sequential(*camera_at_start(variant, record, data))
            exported = export_camera(camera, tuple(data.pool.images.shape[1:]), full=True)
            starts.append(learned_quantities({"camera": exported})[name][0])
    except Exception:  # without the data there is no start; the maps themselves are in the records
        return [str(len(ends)), correlation(ends), "–"]
    return [str(len(ends)), correlation(ends), correlation([e - s for e, s in zip(ends, starts, strict=True)])]


def correlation(maps: list[np.ndarray]) -> str:
    """Mean correlation of maps between seeds, or why there is none."""
    from physlayer.metrics.statistics import seed_correlation

    if len(maps) < 2:
        return "needs two seeds"
    if any(np.ptp(values) <= ROUNDING * max(1.0, float(np.abs(values).max())) for values in maps):
        return "none: constant in a seed"
    return f"{seed_correlation(np.stack(maps)):.2f}"
