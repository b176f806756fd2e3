"""Every number that we claim, measured by one command: `make bench`."""
