"""The files that deploy the service name only what exists."""
