"""Measurements: work against its floor, interleaved in one process, in CPU time, as ratios."""
