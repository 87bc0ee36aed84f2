"""The charts of `replay --plot` and of the demo."""
