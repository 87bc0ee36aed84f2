"""Write docs/contract/openapi.json anew: python -m tests.web.document."""

from __future__ import annotations

import json

from tests.web.test_openapi import DOCUMENT, of_defaults

if __name__ == "__main__":
    DOCUMENT.write_text(json.dumps(of_defaults(), indent=2) + "\n")
