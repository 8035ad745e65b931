"""Reconciles LoadTests and PerformanceBudgets: starts runners, merges what they measured, judges it."""
