"""What the measurements share: inputs, workers, and what the system says of them."""
