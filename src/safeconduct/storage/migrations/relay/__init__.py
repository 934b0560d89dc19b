"""The migrations of the relay."""
