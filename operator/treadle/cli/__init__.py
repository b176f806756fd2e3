"""The command line. Imports are lazy: `--help` loads nothing but click."""
