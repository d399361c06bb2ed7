# Verbs that serve or measure the shipped app, or make something of the template; the Makefile includes them.

.PHONY: new
new: ## a project of one's own: DIR=../name EXAMPLE=fastapi (or another folder of examples/)
	@$(PYTHON) -m slipway.ops.checks new

.PHONY: bench
bench: ## the ASGI app against the WSGI baseline under the same nginx (QUICK=1, FULL=1, SERVERS=…, RESUME=folder)
	@$(PYTHON) -m slipway.ops.checks bench run

.PHONY: bench-layers
bench-layers: ## CPU time per request of each layer, beside other frameworks (QUICK=1, FULL=1)
	@$(PYTHON) -m slipway.ops.checks bench-layers

.PHONY: bench-fanout
bench-fanout: ## one room of 200 websocket clients, beside python-socketio and Django Channels (QUICK=1)
	@$(PYTHON) -m slipway.ops.checks bench-fanout

.PHONY: bench-compare
bench-compare: ## two results side by side: A=folder B=folder
	@$(PYTHON) -m slipway.ops.checks bench compare $(A) $(B)

.PHONY: locust
locust: ## locust in containers, its page on LOCUST_PORT, with LOCUST_WORKERS workers
	@$(PYTHON) -m slipway.ops locust

.PHONY: soak
soak: ## the promises at full size (PARTS="reloads kills" for some)
	@$(PYTHON) -m slipway.ops.checks soak $(PARTS)

.PHONY: screenshots
screenshots: ## the README's pictures, from the stack that runs
	@$(PYTHON) -m slipway.ops.checks screenshots
