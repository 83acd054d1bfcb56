"""The split of traffic as resources of Kubernetes, for teams whose mesh is to do it; pure."""
