"""A whole Kubernetes on one plain Linux machine, for the tests: no docker, no registry, no systemd.

`python -m tests.cluster.lab` is its only door; `tests/cluster/README.md` says what it does. Its
one rule: whatever it starts, mounts or configures is found again from `.cluster/` alone, so
that `down` leaves nothing behind even after a crash.
"""
