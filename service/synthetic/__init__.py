"""Events that look real: the generator and its senders."""
