"""What was published against the model, one kind of record in each module."""
