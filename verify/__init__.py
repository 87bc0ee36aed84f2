"""Programs that prove the service, each started by `python -m verify.X`."""
