"""PostgreSQL: bounded waits, failover from a server that takes no writes, and detection of poolers."""
