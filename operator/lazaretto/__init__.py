"""Lazaretto takes compromised AI models out of service, holds them there, and restores them exactly."""

__version__ = "0.1.0"
