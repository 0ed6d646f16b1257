"""``python -m proxy`` is the same as ``bough``."""

import sys

from proxy.cli.main import main

sys.exit(main())
