from __future__ import annotations

from sis_engine.cli.top import short


def test_a_line_of_the_log_keeps_the_time_of_the_day_only() -> None:
    line = "2026-11-29T19:30:25+00:00  generation 1  explore"
    assert short(line) == "19:30:25  generation 1  explore"
    assert short("no stamp 2026-11-29T19:30:25+00:00") == "no stamp 2026-11-29T19:30:25+00:00"
