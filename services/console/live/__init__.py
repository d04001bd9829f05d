"""What happens now: one event stream for each channel from the network, one stream for each browser."""
