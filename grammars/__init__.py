"""The grammars, as Lark files; installed as `bridge.grammars`, loaded by `bridge.parsing`."""
