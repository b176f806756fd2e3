"""The language: documents, paths, templates, choices. Pure; it knows nothing that runs."""
