"""Installing the locks, and the two commands on a bare machine."""
