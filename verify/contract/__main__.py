"""`python -m verify.contract`, or `make contract`."""

import sys

from verify.contract.compatibility import main

sys.exit(main())
