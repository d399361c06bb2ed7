"""PostgreSQL: no wait is endless, a server that takes no writes is left for another, and poolers are noticed."""
