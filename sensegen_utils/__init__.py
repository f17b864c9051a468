"""Helpers shared by the notebooks: one file, one idea."""
