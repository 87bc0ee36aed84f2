"""What people run beside the worker: generate, replay, show, plot, demo, and a local broker."""
