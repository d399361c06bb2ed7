"""How the stack is started, stopped and reloaded, in both runtimes. `make` verbs are one line each and call these."""
