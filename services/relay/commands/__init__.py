"""The commands of ``gridledger relay``: each module has ``main(argv) -> exit code`` or several such functions."""
