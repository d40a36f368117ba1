"""Random differential testing: the same generated calls on Linux and in the library OS."""
