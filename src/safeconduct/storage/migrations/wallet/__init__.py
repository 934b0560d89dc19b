"""The migrations of the wallet."""
