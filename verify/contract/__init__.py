"""Today's contract against the released ones."""
