"""What every service's HTTP shares: the application around its routes, problems, limits, listeners."""
