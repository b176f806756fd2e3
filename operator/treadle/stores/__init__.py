"""Snapshots in statuses, pages, machines: what is kept, and nothing that decides."""
