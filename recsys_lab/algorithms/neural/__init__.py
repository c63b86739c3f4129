"""Neural models; all but this line needs PyTorch: pip install "recsys_lab[torch]"."""
