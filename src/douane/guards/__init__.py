"""Detectors: pure functions that look at what passes and know no chain."""
