"""Images with their answers and sources, and how they are split."""

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import epoch_order, group_codes, group_split

__all__ = ["ImageSet", "TaskData", "epoch_order", "fingerprint", "group_codes", "group_split"]
