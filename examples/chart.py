"""Twelve months of three products as a DataFrame, plotted, and saved as /chart.png."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

rng = np.random.default_rng(7)
months = pd.date_range("2025-01-01", periods=12, freq="MS")
sold = np.array([80, 110, 50]) + rng.normal(loc=[3, 1, 5], scale=6, size=(12, 3)).cumsum(axis=0)
sales = pd.DataFrame(sold, index=months, columns=["Pens", "Paper", "Ink"]).round(1)
print(sales.describe().round(1).to_string())

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=[2, 1])
sales.plot(ax=left, marker="o", title="Sales by month", ylabel="thousand")
sales.sum().plot.bar(ax=right, title="Whole year", color=["C0", "C1", "C2"], rot=0)
fig.savefig("/chart.png", dpi=120)
