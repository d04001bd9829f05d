"""What the pages of the grid stand on: frames read from blocks, the state of the grid, its alarms, its diagram."""
