"""What each layer costs: CPU time per request against a bare app on the same server, in the same round."""
