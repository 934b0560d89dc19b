"""The migrations of the wallet server."""
