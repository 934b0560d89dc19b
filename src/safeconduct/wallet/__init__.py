"""The holder's application: it accepts credentials, keeps them with their keys, and presents them.

It believes an issuer that it asks itself, and nobody in between. What comes through a wallet server counts
only if it was encrypted to the wallet's key and holds a credential that stands every check.
"""
