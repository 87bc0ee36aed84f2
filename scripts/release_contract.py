"""`python -m scripts.release_contract`: releases today's contract; it never changes again."""

# ruff: noqa: T201 - a command line

from verify.contract.releases import release

if __name__ == "__main__":
    print(release())
