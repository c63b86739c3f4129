"""``python -m recsys_lab``: the command line, as MLproject calls it."""

import sys

from recsys_lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
