# Each verb is one line; the work is in slipway/ops/. The text after ## is what `make help` shows.
PYTHON ?= python3

.DEFAULT_GOAL := help

.PHONY: up
up: ## start the stack and wait until it is ready (RUNTIME=docker|local, BASELINE=1, APP=module:callable)
	@$(PYTHON) -m slipway.ops up

.PHONY: down
down: ## stop it; data stays
	@$(PYTHON) -m slipway.ops down

.PHONY: status
status: ## what runs
	@$(PYTHON) -m slipway.ops status

.PHONY: logs
logs: ## follow all logs
	@$(PYTHON) -m slipway.ops logs

.PHONY: reload
reload: ## new code or settings in service with nothing lost; refused when they do not start
	@$(PYTHON) -m slipway.ops reload

.PHONY: deploy
deploy: ## a new image in service with nothing lost; when it is not healthy the old one stays
	@$(PYTHON) -m slipway.ops deploy

.PHONY: rollback
rollback: ## containers: back to the image that was in service before, as a deploy does
	@$(PYTHON) -m slipway.ops rollback

.PHONY: prove
prove: ## load, then reloads, a killed worker, a restart of nginx and a stop: what was promised, what was seen
	@$(PYTHON) -m slipway.ops prove

.PHONY: service
service: ## write a systemd unit, which brings the stack back after a boot, and say how to enable it
	@$(PYTHON) -m slipway.ops service

.PHONY: migrate
migrate: ## bring the database's schema up to date (a start does it by itself)
	@$(PYTHON) -m slipway.ops migrate

.PHONY: test
test: ## all checkers and tests, and what they need (PYTEST="-k name" for some)
	@$(PYTHON) -m slipway.ops.checks test $(PYTEST)

.PHONY: suites
suites: ## the tests that take minutes: whole protocols, long walks (PYTEST="-k name" for some)
	@$(PYTHON) -m slipway.ops.checks suites $(PYTEST)

.PHONY: lint
lint: ## the checkers alone
	@$(PYTHON) -m slipway.ops.checks lint

.PHONY: test-docker
test-docker: ## the tests of the containers; needs a Docker engine
	@$(PYTHON) -m slipway.ops.checks test-docker $(PYTEST)

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

.PHONY: lock
lock: ## compile the locked requirements anew from pyproject.toml (LOCK="--upgrade" for the newest versions)
	@$(PYTHON) -m slipway.ops.checks lock $(LOCK)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
