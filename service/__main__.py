"""`python -m service`: the same as `netfollowers`."""

import sys


def main() -> int:
    """Run one command; -> its exit code. Ctrl-C ends it with 130, even while it is imported."""
    try:
        from service.cli import main as run  # noqa: PLC0415 - see above

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
