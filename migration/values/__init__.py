"""Values on their way: what they are like, what the target takes, and how their form changes."""
