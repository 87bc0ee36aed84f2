"""How the service is run: image, stack, Prometheus, Grafana. Not part of the package."""
