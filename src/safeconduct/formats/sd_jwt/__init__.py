"""SD-JWT and SD-JWT VC."""
