"""Status in the issuer's database: the places that credentials have in status lists."""
