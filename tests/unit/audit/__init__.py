"""The auditor: its model, by hand, and its comparisons, by sabotage."""
