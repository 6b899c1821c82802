"""Glands in stained tissue: data and networks for their segmentation."""
