"""A machine run on one computer, without a cluster.

The rooms below are the operator's: what differs is where objects are kept (files), what runs a Job
Task (a process), and whose time it is.
"""
