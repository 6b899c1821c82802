"""Ultrasound: horizontal and vertical diameter of an eye or a head, two numbers per image."""
