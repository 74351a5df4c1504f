"""Gathers, decides, applies, proves: the level-triggered loop over one model at a time."""
