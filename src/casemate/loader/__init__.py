"""The untrusted loader: finding its files in this installation, and becoming it."""
