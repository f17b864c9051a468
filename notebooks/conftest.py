def pytest_collectstart(collector):
    """Leave stderr out of nbval's comparison: it holds progress bars and framework logs, never results."""
    if collector.nodeid.endswith(".ipynb"):
        collector.skip_compare += ("stderr",)
