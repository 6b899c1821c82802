"""Metastases in lymph nodes: patches of stained tissue with or without tumour in their centre."""
