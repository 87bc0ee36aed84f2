"""The commands of netfollowers, and what they share."""
