"""Garbage for every parser: `python -m fuzz [--seconds N] [TARGET...]`.

The law: whatever arrives, a parser returns a value or raises a SafeconductError, and its work grows no faster
than the size of what arrived. `targets.TARGETS` lists the parsers; `judgement` holds the law; `plain` and
`with_atheris` are two ways to make garbage, blindly from a seed and guided by coverage.
"""
