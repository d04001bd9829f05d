"""The commands of ``gridledger case``: each module has ``main(argv) -> exit code``."""
