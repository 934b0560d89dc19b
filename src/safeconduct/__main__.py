"""`python -m safeconduct`: the same as the command `safeconduct`."""

from safeconduct.cli.main import run

if __name__ == "__main__":
    run()
