"""The campaign report: one offline page and the same numbers as JSON.

:mod:`~sis_engine.report.summary` is light (the command line uses it too);
:mod:`~sis_engine.report.page` draws and is imported only when a report is written.
"""
