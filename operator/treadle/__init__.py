"""Treadle: Amazon States Language state machines on Kubernetes, without a database."""

__version__ = "0.1.0"
