"""Draw what a sweep's cameras have learned, for its page: a row per arm, value and quantity, a column per seed.

    python docs/build/make_maps.py microscope --runs runs/microscope_digits --page digits --value 19 \\
        --quantities illumination_waves,aperture_waves --cyclic
    python docs/build/make_maps.py shift_variant_blur --runs runs/shift_variant_blur_blood_cells --value 4 \\
        --quantities sigma_pixels --fixed
    python docs/build/make_maps.py color_filters --runs runs/color_filters_blood_cells --value 10,100 \\
        --quantities tile --names R,G,B,W

Writes docs/figures/SWEEP_PAGE_maps.png. Values are those of the hardware, from the records. ``--cyclic``: phases in
waves, shown without whole waves; else every quantity has one scale for all its panels. Choices of one of K, with one
plane per possibility and one plane of ones at each place, are shown by their number, or in the colours of ``--names``.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import numpy as np
from tables import DOCS, load

from physlayer.experiment.axis import shown_value
from physlayer.experiment.camera_maps import learned_quantities
from physlayer.experiment.plot_style import COLOURS, bare, image_bytes, panels

FILTERS = {"R": COLOURS[1], "G": COLOURS[2], "B": COLOURS[0], "W": "#eeeeee"}


def picture(value: np.ndarray) -> np.ndarray:
    """An array as a picture: one plane as it is, a choice by its number, a list as a square or as a row.

    Example:
        >>> picture(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]))
        array([[1, 0]])
        >>> picture(np.arange(4.0)).shape
        (2, 2)
    """
    value = value.squeeze()
    if value.ndim == 3:
        chosen = np.isin(value, (0, 1)).all() and (value.sum(0) == 1).all()
        return value.argmax(0) if chosen else value.mean(0)
    if value.ndim < 2:
        side = int(np.sqrt(value.size))
        return value.reshape(side, side) if side**2 == value.size else value.reshape(1, -1)
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--page", default="")
    parser.add_argument("--value", type=lambda text: [float(part) for part in text.split(",")], required=True)
    parser.add_argument("--quantities", type=lambda text: text.split(","), required=True)
    parser.add_argument("--variants", type=lambda text: text.split(","))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fixed", action="store_true", help="fixed maps, too")
    parser.add_argument("--cyclic", action="store_true")
    parser.add_argument("--names", type=lambda text: text.split(","))
    args = parser.parse_args()
    sweep = importlib.import_module(f"physlayer.sweeps.{args.sweep}").SWEEP
    records, _ = load(args.runs)
    rows: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    points = [(variant, value) for variant in sweep.variants for value in args.value]
    units: dict[str, str] = {}
    for variant, swept in points:
        arm = variant.name if len(args.value) == 1 else f"{variant.name}, {shown_value(swept, sweep.scale)}"
        for record in records:
            if record.variant != variant.name or record.value != swept or record.seed >= args.seeds:
                continue
            if args.variants and variant.name not in args.variants:
                continue
            for place, (value, unit) in learned_quantities(record.camera, fixed_too=args.fixed).items():
                name = place.rpartition(".")[2]
                if name in args.quantities and value.size > 1:
                    rows.setdefault((arm, name), {})[record.seed] = picture(value)
                    units[name] = unit
    if not rows:
        raise SystemExit(f"Expected learned {', '.join(args.quantities)} at {args.value}, but {args.runs} has none.")
    name = "_".join(part for part in (args.sweep, args.page or records[0].task, "maps") if part)
    (DOCS / "figures" / f"{name}.png").write_bytes(drawn(rows, units, args))
    print(f"wrote figures/{name}.png")


def drawn(rows: dict, units: dict[str, str], args: argparse.Namespace) -> bytes:
    """A PNG."""
    from matplotlib.colors import ListedColormap

    seeds = sorted({seed for found in rows.values() for seed in found})
    for row, found in rows.items() if args.cyclic else ():  # outside an aperture every phase is exactly 0: not shown
        unused = np.all([values == 0 for values in found.values()], axis=0)
        rows[row] = {seed: np.where(unused, np.nan, values) for seed, values in found.items()}
    any_map = next(iter(next(iter(rows.values())).values()))
    size = 1.0
    figure, grid = panels(len(rows) * len(seeds), len(seeds), size, size * any_map.shape[0] / any_map.shape[1])
    figure.set_size_inches(size * len(seeds) + 2.4, figure.get_figheight() + 0.3)
    shown: dict[str, list] = {}
    for row, ((variant, name), found) in enumerate(rows.items()):
        for column, seed in enumerate(seeds):
            axes = grid[row * len(seeds) + column]
            bare(axes)
            if row == 0:
                axes.set_title(f"seed {seed}", fontsize=7)
            if column == 0:
                axes.set_ylabel(f"{variant}\n{name}", fontsize=6, rotation=0, ha="right", va="center")
            if seed not in found:
                continue
            values = [m for (_, other), maps in rows.items() if other == name for m in maps.values()]
            low, high = min(m.min() for m in values), max(m.max() for m in values)
            scale = {"cmap": "viridis", "vmin": low, "vmax": high}
            if low < 0 < high:  # both signs: white is 0
                scale = {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
            if args.cyclic:
                scale = {"cmap": "twilight_shifted", "vmin": -0.5, "vmax": 0.5}
                axes.set_facecolor("#cccccc")
            if args.names:
                colours = ListedColormap([FILTERS.get(name, COLOURS[k]) for k, name in enumerate(args.names)])
                scale = {"cmap": colours, "vmin": -0.5, "vmax": len(args.names) - 0.5}
            seen = (found[seed] + 0.5) % 1 - 0.5 if args.cyclic else found[seed]
            shown.setdefault("" if args.cyclic else name, []).append(
                axes.imshow(seen, interpolation="nearest", **scale)
            )
    for name, images in shown.items():
        axes = [image.axes for image in images]
        bar = figure.colorbar(images[0], ax=axes, aspect=12, shrink=min(1.0, 2 / len(rows)), pad=0.02)
        if args.names:
            bar.set_ticks(range(len(args.names)), labels=args.names)
        bar.ax.tick_params(labelsize=6)
        unit = "waves, without whole ones" if args.cyclic else units[name]
        bar.set_label(unit if unit != "1" else name, fontsize=6)
    return image_bytes(figure, "png", dpi=200)


if __name__ == "__main__":
    main()
