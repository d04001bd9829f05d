"""The commands of ``gridledger anchor``: each module has ``main(argv) -> exit code``."""
