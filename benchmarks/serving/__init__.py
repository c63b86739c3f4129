"""The service measured: CPU, latency, throughput and memory beside a raw ASGI app and `mlflow models serve`."""
