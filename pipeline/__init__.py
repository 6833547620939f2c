"""Turns public listings of language models into published tables. Knows nothing of serving."""

import os

# The matrices here are a few hundred wide: more BLAS threads only wait for one another, worst on a busy machine.
# Read when numpy is first imported, hence here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
