"""How well recordings are dated by the hum in them: synthesised recordings from fixed seeds."""
