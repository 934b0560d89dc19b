"""Token Status List (draft-ietf-oauth-status-list) and its W3C sibling."""
