"""One hash over all that is a function of the input."""
