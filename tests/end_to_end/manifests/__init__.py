"""What the test of manifests runs in an environment of its own."""
