"""The torture test: the operator is killed again and again, and nothing may show it.

`python -m tests.cluster.torture --kills 50` is `make torture N=50`.
"""
