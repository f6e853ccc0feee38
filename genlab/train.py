"""`python -m genlab.train RUN_DIR` trains one run and touches nothing but its directory."""

import sys

from genlab.jobs.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
