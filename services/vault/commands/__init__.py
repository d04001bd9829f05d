"""The commands of ``gridledger vault``: each module has ``main(argv) -> exit code``."""
