"""The side door of the data path: requests and answers go to a process of their own, to be recorded or compared."""
