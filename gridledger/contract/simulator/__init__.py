"""The chaincode simulator: runs a contract on a world state in memory or in a file, without a network."""
