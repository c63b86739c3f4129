"""The literal table of algorithms, one file a family."""
