"""Where an image lies: folders of images and of masks, the folder of its class, the part of an official split."""

from __future__ import annotations

from physlayer.tasks.tables import some

__all__ = ["PARTS", "class_of", "mask_pairs", "part_of"]

IMAGE_FOLDERS, MASK_FOLDERS = ("images", "image"), ("masks", "mask", "labels", "label")
MASK_ENDING = "_mask"
PARTS = {name: "pool" for name in ("train", "training", "val", "valid", "validation")}
PARTS |= {name: "test" for name in ("test", "testing")}


def part_of(name: str, below: int = 0) -> str:
    """Part of an official split, ``"pool"`` or ``"test"``, that a path tells, else ``""``.

    Args:
        name: path below the folder. below: folders that must lie between the split's and the file: one where folders
            are classes, so that cars, buses and trains may be classes.

    Example:
        >>> part_of("test/1.png"), part_of("images/VAL/pear/1.png"), part_of("train/1.png", below=1)
        ('test', 'pool', '')
    """
    folders = _folders(name)
    return PARTS.get(folders[0].lower(), "") if len(folders) > below else ""


def class_of(name: str) -> str:
    """The folder of an image, below that of an official split, or ``""``.

    Example:
        >>> class_of("train/pear/tree_7/1.png"), class_of("pear/1.png"), class_of("1.png")
        ('pear', 'pear', '')
    """
    folders = _folders(name)[1 if part_of(name, below=1) else 0 :]
    return folders[0] if folders else ""


def _folders(name: str) -> list[str]:
    return [each for each in name.split("/")[:-1] if each.lower() not in IMAGE_FOLDERS]


def mask_pairs(files: list[str]) -> dict[str, str]:
    """Mask of every image, empty if there are no masks.

    Masks lie in ``masks`` (or ``mask``, ``labels``, ``label``) with the name of their image, or beside it and end in
    ``_mask``.

    Raises:
        ValueError: if an image has no mask, a mask no image, or two of either have one name.

    Example:
        >>> mask_pairs(["images/1.jpg", "masks/1.png"]), mask_pairs(["1.png", "1_mask.png"]), mask_pairs(["mask/1.png"])
        ({'images/1.jpg': 'masks/1.png'}, {'1.png': '1_mask.png'}, {})
    """
    placed = [(name, *_role(name)) for name in files]
    roles = {role for _, role, _ in placed}
    keys = {wanted: {key for _, role, key in placed if role == wanted} for wanted in ("", "image", "mask")}
    if "image" not in roles and {_bare(key) for key in keys["mask"]} & keys[""]:  # images beside the folder of masks
        placed = [(name, role or "image", key) for name, role, key in placed]
    elif not {"image", "mask"} <= roles:
        every = {key for _, _, key in placed}
        if not any(key != _bare(key) and _bare(key) in every for key in every):
            return {}
        placed = [(name, "image" if key == _bare(key) else "mask", key) for name, _, key in placed]
    beside = [name for name, role, _ in placed if not role]
    if beside:
        raise ValueError(
            f"Expected every file to lie in images or masks, but got {len(beside)} beside them ({some(beside)}); move "
            "them."
        )
    found: dict[str, dict[tuple[str, ...], str]] = {"image": {}, "mask": {}}
    for name, role, key in placed:
        key = _bare(key) if role == "mask" else key
        if found[role].setdefault(key, name) != name:
            raise ValueError(f"Expected one {role} of a name, but got {found[role][key]} and {name}; rename one pair.")
    for here, there, wanted in (("image", "mask", "a mask"), ("mask", "image", "an image")):
        without = [name for key, name in found[here].items() if key not in found[there]]
        if without:
            raise ValueError(
                f"Expected {wanted} for every {here}, but got none for {len(without)} of {len(found[here])} "
                f"({some(without)}); give both the same name (a mask may end in {MASK_ENDING}), or move these away."
            )
    return {name: found["mask"][key] for key, name in found["image"].items()}


def _role(name: str) -> tuple[str, tuple[str, ...]]:
    """Whether a path lies in a folder of images or of masks, and the path without that folder and the ending."""
    *folders, file = name.split("/")
    key, role = [], ""
    for each in folders:
        if not role and each.lower() in IMAGE_FOLDERS + MASK_FOLDERS:
            role = "image" if each.lower() in IMAGE_FOLDERS else "mask"
        else:
            key.append(each)
    return role, (*key, file.rpartition(".")[0])


def _bare(key: tuple[str, ...]) -> tuple[str, ...]:
    return (*key[:-1], key[-1].removesuffix(MASK_ENDING))
