# Each verb is one line; the work is in slipway/ops/. The text after ## is what `make help` shows.
PYTHON ?= python3

.DEFAULT_GOAL := help

.PHONY: up
up: ## start the stack and wait until it is ready (RUNTIME=docker|local, BASELINE=1, APP=module:callable)
	@$(PYTHON) -m slipway.ops up

.PHONY: dev
dev: ## one process behind nginx that starts anew when a file changes, with logs for people
	@$(PYTHON) -m slipway.ops dev

.PHONY: shell
shell: ## a shell in which the commands of the environment are on the path
	@$(PYTHON) -m slipway.ops shell

.PHONY: down
down: ## stop it; data stays
	@$(PYTHON) -m slipway.ops down

.PHONY: status
status: ## what runs
	@$(PYTHON) -m slipway.ops status

.PHONY: logs
logs: ## follow all logs, readable (REQUEST=id: those of one request)
	@$(PYTHON) -m slipway.ops logs

.PHONY: top
top: ## workers, rates, latencies, connections, memory and loop lag, live (ONCE=1: one look)
	@$(PYTHON) -m slipway.ops top

.PHONY: doctor
doctor: ## what each setting does, observed from outside on the stack that runs
	@$(PYTHON) -m slipway.ops doctor

.PHONY: observe
observe: ## Prometheus for the stack that runs, with rules of ours, until interrupted
	@$(PYTHON) -m slipway.ops observe

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
test-docker: ## the tests of the containers; needs a Docker engine (PYTEST="-m suite" for those that take minutes)
	@$(PYTHON) -m slipway.ops.checks test-docker $(PYTEST)

.PHONY: lock
lock: ## compile the locked requirements anew from pyproject.toml (LOCK="--upgrade" for the newest versions)
	@$(PYTHON) -m slipway.ops.checks lock $(LOCK)

.PHONY: upgrade
upgrade: ## in a project that `make new` has made: merge a later version of the template (VERSION=tag)
	@$(PYTHON) -m slipway.ops.checks upgrade

# Verbs of the template only; a project made from it does not have them.
-include bench/verbs.mk

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
