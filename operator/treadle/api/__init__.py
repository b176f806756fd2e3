"""The operator as a server: health, metrics."""
