"""The browser side of all widgets: one anywidget that shows HTML drawn in Python and reports what the user does.

May import what `widgets` may, `widgets.drawing` and `observe.feed`.
"""
