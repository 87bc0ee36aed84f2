"""`python -m service`: the same as `netfollowers`."""

import sys


def main() -> int:
    """Run one command. Return its exit code. Ctrl-C gives 130, even during imports."""
    try:
        from service.cli import main as run  # noqa: PLC0415 - see above

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
