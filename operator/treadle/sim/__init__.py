"""Seeded worlds: clock, cluster, faults, checkers.

One rule: a seed decides everything, so that a bug is a number that replays it.
"""
