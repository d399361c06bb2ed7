# Each verb is one line; the work is in ops/. The text after ## is what `make help` shows.
PYTHON ?= python3

.DEFAULT_GOAL := help

.PHONY: up
up: ## start the stack and wait until it is ready (RUNTIME=docker|local, BASELINE=1, APP=module:callable)
	@$(PYTHON) -m ops up

.PHONY: down
down: ## stop it; data stays
	@$(PYTHON) -m ops down

.PHONY: status
status: ## what runs
	@$(PYTHON) -m ops status

.PHONY: logs
logs: ## follow all logs
	@$(PYTHON) -m ops logs

.PHONY: reload
reload: ## new code in service with nothing lost; refused when it does not start
	@$(PYTHON) -m ops reload

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
