"""The demonstration: a relay, four servers, and what befalls them in twelve minutes of the relay's clock."""
