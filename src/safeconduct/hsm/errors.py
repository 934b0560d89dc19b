"""What can be wrong with a key that lives in a PKCS#11 token."""

from safeconduct.errors import SafeconductError


class HsmError(SafeconductError):
    """A token, or the way to it, does not do what is asked; the peer is not at fault, and may try later.

    code: hsm_uri_malformed, hsm_uri_pin, hsm_pin_source, hsm_driver_missing, hsm_module, hsm_token_missing,
    hsm_token_ambiguous, hsm_pin_wrong, hsm_key_missing, hsm_key_ambiguous, hsm_key_unsupported,
    hsm_key_mismatch, hsm_key_exists, hsm_unwrap_failed, hsm_forked, hsm_unreachable.
    """

    oauth_error = "temporarily_unavailable"
    http_status = 503
