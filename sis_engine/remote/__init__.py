"""Work in pools: the engine's end of :mod:`sis_engine.execution.job_folder`."""
