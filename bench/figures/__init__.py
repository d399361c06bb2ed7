"""The results folder and the statistics computed from it."""
