"""A broker and workers on this machine, for the demo and the tests."""
