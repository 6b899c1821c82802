"""Sweeps: one short script each."""
