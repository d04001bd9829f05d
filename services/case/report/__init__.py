"""The report of a case: one page with its purpose, its queries, what the rules found, the timeline, the proofs."""
