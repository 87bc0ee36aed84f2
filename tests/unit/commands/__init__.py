"""Tests of what people run: generate, replay, plot, show, the demo and the command line."""
