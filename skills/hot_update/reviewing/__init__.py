"""The platform's side of a submission: what reviewers see, decide and say."""
