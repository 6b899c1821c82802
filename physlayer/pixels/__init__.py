"""Geometry of the photosites: larger pixels, pixels of learned sizes and shapes, several cameras."""
