"""Seconds of the best matches between two sets of directions: matches.py NumPy|FAISS LEFT RIGHT DIMENSION THREADS"""

import os
import sys
import time

peer, left, right, dimension, threads = sys.argv[1], *map(int, sys.argv[2:])
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(threads)

import numpy as np


def directions(rows, seed):
    values = np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def numpy_search(synthetic, real, height=2048, width=8192):
    """The best match of every row of both sides, in blocks."""
    best_left = np.full(left, -2, np.float32)
    at_left = np.zeros(left, np.int64)
    best_right = np.full(right, -2, np.float32)
    at_right = np.zeros(right, np.int64)
    for top in range(0, left, height):
        rows = synthetic[top : top + height]
        for first in range(0, right, width):
            block = rows @ real[first : first + width].T
            at = block.argmax(1)
            value = block[np.arange(len(rows)), at]
            better = value > best_left[top : top + height]
            best_left[top : top + height][better] = value[better]
            at_left[top : top + height][better] = at[better] + first
            at = block.argmax(0)
            value = block[at, np.arange(block.shape[1])]
            better = value > best_right[first : first + width]
            best_right[first : first + width][better] = value[better]
            at_right[first : first + width][better] = at[better] + top
    return at_left, at_right


synthetic, real = directions(left, 1), directions(right, 2)
if peer == "NumPy":
    begun = time.perf_counter()
    numpy_search(synthetic, real)
elif peer == "FAISS":
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(dimension)
    index.add(real)
    begun = time.perf_counter()
    index.search(synthetic, 1)
else:
    sys.exit(f"there is no peer {peer}")
print(time.perf_counter() - begun)
