"""YAML files as typed configurations, with mistakes told by line; shared by the gateway and the converters."""
