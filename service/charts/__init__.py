"""What replay --plot and the demo draw."""
