"""The ground both halves stand on: the contract, the places of files, and the `orchestrator` command."""
