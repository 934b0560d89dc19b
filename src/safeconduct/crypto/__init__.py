"""Keys, signatures, key agreement, HPKE and AEAD, on `cryptography`; nothing here invents a primitive."""
