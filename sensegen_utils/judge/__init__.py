"""The judges: how good generated windows are, and the generators that ours is compared with.

A number says little alone. Beside each stand its reference, real volunteers against other real ones, and the
negative controls of `contenders`, which are broken on purpose.
"""
