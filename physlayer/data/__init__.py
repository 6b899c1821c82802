"""Images with their answers and sources, and how they are split."""
