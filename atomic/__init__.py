"""Files and folders that change in one step; shared by the gateway and the converters."""
