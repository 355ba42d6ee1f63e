"""Least milliseconds of dp-accounting for one epsilon, and that epsilon: accountants.py EVENTS DELTA RUNS."""

import sys
import time

import dp_accounting


def event_of(text):
    kind, values = text.split(":")
    values = [float(value) for value in values.split(",")]
    if kind == "gaussian":
        return dp_accounting.GaussianDpEvent(values[0])
    if kind == "laplace":
        return dp_accounting.LaplaceDpEvent(values[0])
    return dp_accounting.PoissonSampledDpEvent(values[0], dp_accounting.GaussianDpEvent(values[1]))


def epsilon(text, delta):
    accountant = dp_accounting.pld.PLDAccountant()
    for part in text.split(";"):
        event, count = part.split("*")
        accountant.compose(event_of(event), int(count))
    return accountant.get_epsilon(delta)


least = float("inf")
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    found = epsilon(sys.argv[1], float(sys.argv[2]))
    least = min(least, time.perf_counter() - start)
print(least * 1e3, float(found))
