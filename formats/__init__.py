"""Binary layouts as construct declarations, without logic; installed as `bridge.formats`."""
