"""The status service: publishes revocation as static files, and serves them where there is no static host."""
