"""Packs scikit-learn's copy of the UCI digits (`digits.csv.gz`) into `digits.bin.gz`.

Usage: python digits.py   (needs scikit-learn; the result does not depend on its version)

Layout after decompression: 1797 records of 65 bytes, the 64 values 0-16 of the 8x8 image row by row, then the digit.
"""

import gzip
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
records = np.concatenate([digits.data, digits.target[:, None]], axis=1)
assert records.shape == (1797, 65) and (records == records.astype(np.uint8)).all() and records[:, :64].max() == 16
with open(Path(__file__).with_name("digits.bin.gz"), "wb") as file:
    # No name and no time in the header: the same bytes on every run.
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=9, mtime=0) as packed:
        packed.write(records.astype(np.uint8).tobytes())
