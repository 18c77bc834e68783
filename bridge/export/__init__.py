"""Scripts for other tracers: a module each, `markbridge export SCRIPT --to NAME`.

An exporter takes an `Exported` and gives text for its consumer. The rule: what the consumer
cannot do is an error with its place in the script, and nothing is left out without a word.
"""
