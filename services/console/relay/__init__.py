"""What the pages of relay monitoring show."""
