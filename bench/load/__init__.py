"""The load generators: the open load of this project, wrk for peaks, and idle connections."""
