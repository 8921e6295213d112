"""The scenarios: a module each, with SECONDS, about what it takes, and run(scenario)."""
