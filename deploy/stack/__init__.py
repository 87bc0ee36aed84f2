"""The stack of docker-compose.yml without Docker, on this machine: `make stack`."""
