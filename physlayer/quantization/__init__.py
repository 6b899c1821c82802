"""Analogue-to-digital converters: bits fixed, learned, per pixel or under a budget."""
