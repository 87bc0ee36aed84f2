"""Where an audit reads from: a broker, or files."""
