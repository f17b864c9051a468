"""The judges: how good generated windows are, and the generators that ours is compared with."""
