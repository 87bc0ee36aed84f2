"""The parts of Faust that are replaced."""
