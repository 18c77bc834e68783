"""What a session runs handlers with: the native engine and the reference interpreter."""
