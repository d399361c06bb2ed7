"""Plans a run, starts the servers, drives the load and stores each result."""
