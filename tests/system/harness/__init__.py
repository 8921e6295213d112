"""What the scenarios stand on: the host's tools, root file systems, booted machines, checks, packages."""
