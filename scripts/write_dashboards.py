"""Write the dashboards: `python -m scripts.write_dashboards`, or `make dashboards`."""

from __future__ import annotations

from deploy.dashboards.generate import DIRECTORY, rendered


def main() -> None:
    """Write every file; remove what is no longer made."""
    wanted = rendered()
    for path in DIRECTORY.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (DIRECTORY / name).write_text(text)


if __name__ == "__main__":
    main()
