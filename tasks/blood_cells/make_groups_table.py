"""Make ``groups.csv.gz``, the table of sources that :mod:`physlayer.tasks.blood_cells.file_sources` reads.

    python -m physlayer.tasks.blood_cells.make_groups_table groups.csv dataset2-master/images

``groups.csv`` has the columns ``split,class,file,original,group``; the image folder holds ``TRAIN`` and
``TEST``. The table adds the size of each file, by which the loader recognises it. The result is reproducible.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
from pathlib import Path

COLUMNS = ("split", "class", "file", "group", "original", "bytes")


def make_table(groups: Path, images: Path, output: Path) -> int:
    """Write ``output`` (compressed CSV) from ``groups`` (CSV) and the folder ``images``; return its rows."""
    with groups.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["bytes"] = (images / row["split"] / row["class"] / row["file"]).stat().st_size
    rows.sort(key=lambda row: (row["split"], row["class"], row["file"]))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with output.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(text.getvalue().encode())
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", type=Path, help="CSV with the columns split,class,file,original,group")
    parser.add_argument("images", type=Path, help="folder that holds TRAIN and TEST")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("groups.csv.gz"))
    arguments = parser.parse_args()
    print(f"{make_table(arguments.groups, arguments.images, arguments.output)} rows to {arguments.output}")


if __name__ == "__main__":
    main()
