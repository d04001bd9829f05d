"""What the events, the batches and the searches of forensics cost on the network of three cities."""
