"""What is noticed in a case: each rule says in words what it looks for, and points to the rows it found."""
