"""The cost of each layer: CPU time per request, relative to a bare app on the same server in the same round."""
