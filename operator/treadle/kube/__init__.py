"""The API server: the only room with a Kubernetes client."""
