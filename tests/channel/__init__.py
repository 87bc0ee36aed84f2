"""The packed real channel."""
