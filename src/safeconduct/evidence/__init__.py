"""Evidence for verifiers: fetched, kept and synchronised apart, so that verification never fetches."""
