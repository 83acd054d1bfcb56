"""Where a `Call` goes: one implementation a protocol behind one interface."""
