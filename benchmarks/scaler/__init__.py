"""The scaler in a closed loop on real traces: ``python -m benchmarks.scaler --data DIR --json FILE --seeds N``."""
