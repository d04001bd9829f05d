"""What the pages of cases show, and how the case desk is asked."""
