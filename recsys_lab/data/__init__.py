"""Data: interactions, the loaders of named data sets and own files, filters, the generated data sets."""
