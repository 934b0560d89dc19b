"""SMART Health Cards (framework 1.4.0): issue, parse, verify, carry."""
