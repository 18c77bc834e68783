"""Scripts of other tracers -> scripts of ours: `markbridge import NAME FILE`."""
