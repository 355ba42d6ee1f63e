"""One case of benches/peers.rs by the Python package most used for it: `peers.py CASE RUNS FIRST.npy SECOND.npy`.

Prints one line of JSON: the least seconds of its runs and the least that its threads were busy, the value, and the
process's peak memory in bytes; or the name of the package that is missing. Loading the features is not timed.
"""

import contextlib
import io
import json
import sys
import time

import numpy as np


def frechet(first, second):
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (first, second)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def kid(first, second):
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = kid_features_to_metric(
        torch.from_numpy(first),
        torch.from_numpy(second),
        kid_subsets=100,
        kid_subset_size=min(1000, len(first)),
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=2020,
        verbose=False,
    )
    return found["kernel_inception_distance_mean"]


def prdc(first, second):
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        return compute_prdc(real_features=first, fake_features=second, nearest_k=5)["coverage"]


def vendi(first, _):
    from vendi_score import vendi

    return vendi.score_X(first.astype(np.float64))


def vendi_dual(first, _):
    from vendi_score import vendi

    return vendi.score_dual(first.astype(np.float64))


def cmmd(first, second):
    """No package: the published formula in NumPy."""
    first, second = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second))

    def average(x, y):
        squares = (x * x).sum(1)[:, None] + (y * y).sum(1)[None, :] - 2 * (x @ y.T)
        return np.exp(-squares / 200).mean(dtype=np.float64)

    return 1000 * (average(first, first) + average(second, second) - 2 * average(first, second))


def neighbours(first, second):
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(second).kneighbors(first)
    return float(distances[:, 4].mean())


def peak():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


case, runs, sets = globals()[sys.argv[1]], int(sys.argv[2]), [np.load(path) for path in sys.argv[3:5]]
try:
    seconds, busy = [], []
    for _ in range(runs):
        start, before = time.perf_counter(), time.process_time()
        value = case(*sets)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - before)
    print(json.dumps({"seconds": min(seconds), "busy": min(busy), "value": float(value), "peak": peak()}))
except ImportError as error:
    print(json.dumps({"missing": str(error.name)}))
