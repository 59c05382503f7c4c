"""Models of retry success on real traces: ``python -m benchmarks.traces --data DIR --json FILE --seeds N``."""
