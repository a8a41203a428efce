"""HTML and SVG of widgets, as pure functions of a snapshot. May import `observe`, `rollout` and `values`."""
