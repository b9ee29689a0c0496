"""The automatic checks of a submission. Each module here holds one or two and registers them."""

from .registry import CHECKS, Finding, Level, Subject, check, report_on

__all__ = ["CHECKS", "Finding", "Level", "Subject", "check", "report_on"]
