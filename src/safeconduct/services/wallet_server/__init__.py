"""The wallet server: forwards encrypted credential requests for wallets, and learns nothing from them."""

from safeconduct.services.wallet_server.opening import open_wallet_server

__all__ = ["open_wallet_server"]
