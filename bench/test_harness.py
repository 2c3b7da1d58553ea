"""The arithmetic of the benchmark, without a server: `python3 -m pytest bench`."""

import pytest
from harness.cases import APPS, BENCH, CASES
from harness.load import Counted, Load, parse_report
from harness.measure import CoreTicks, Sample, refuse_bad_window
from harness.open_loop import Mixture, ideal
from harness.process import MeasurementError, parse_stat
from harness.report import PROMISES, Failure, Results, judge, markdown, spread
from harness.servers import SERVERS
from run import schedule
from table import README, renewed, table

COUNTED = Counted(1000, 1_000_000, 150_000, 0, 0, 0, 0, 0, 100, 200)


def sample(server: str, number: int, cpu_us: float) -> Sample:
    return Sample(number, server, "hello", cpu_us, 1000.0, True, 0.9, 0.0, 0.0, COUNTED)


def results(*samples: Sample) -> Results:
    servers = ["oxicorn-sync", "granian", "bjoern"]
    facts = {"date": "2026-01-01 00:00 UTC"}
    return Results(facts, {}, servers, ["hello"], {}, dict.fromkeys(servers, "x"), list(samples))


def test_a_process_name_with_spaces_and_parentheses_shifts_no_field() -> None:
    line = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 2 3 4 100 20 3 0 20 0 1 0 99 0 0"
    assert parse_stat(line) == (3, 123)


def test_the_ticks_of_one_core_are_read() -> None:
    text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 1 1 1 1 1 1 1 1 0 0\ncpu0 10 1 5 70 2 1 3 4 0 0\n"
    assert CoreTicks.parse(text, 0) == CoreTicks(busy=20, idle=72, steal=4)


def test_the_report_of_wrk_is_its_last_line_of_json() -> None:
    line = (
        '{"requests": 1000, "duration_us": 1000000, "bytes": 150000, "connect": 0, "read": 0, '
        '"write": 0, "timeout": 0, "status": 0, "p50_us": 100, "p99_us": 200}'
    )
    assert parse_report(f"Running 1s test\n\n{line}\n") == COUNTED


def test_a_wrk_that_reports_nothing_is_an_error() -> None:
    with pytest.raises(MeasurementError):
        parse_report("unable to connect")


def refused(**changes: int) -> bool:
    try:
        refuse_bad_window(Counted(**{**vars(COUNTED), **changes}), CASES["hello"])
    except MeasurementError:
        return True
    return False


def test_a_window_of_wrong_answers_is_refused() -> None:
    assert not refused()
    assert not refused(read=1)
    assert refused(read=2)
    assert refused(status=1)
    assert refused(bytes=12_999)
    assert refused(requests=0)


def test_a_ratio_is_taken_within_the_round() -> None:
    # The machine slows to half its speed after the first round: the ratio does not change.
    found = results(
        sample("granian", 1, 20.0),
        sample("oxicorn-sync", 1, 10.0),
        sample("granian", 2, 40.0),
        sample("oxicorn-sync", 2, 20.0),
        sample("oxicorn-sync", 3, 90.0),
    )
    assert found.ratios("oxicorn-sync", "hello", "granian") == [0.5, 0.5]
    assert found.ratios("oxicorn-sync", "hello", "bjoern") == []


def test_a_broken_promise_is_named() -> None:
    found = results(sample("granian", 1, 20.0), sample("bjoern", 1, 10.0), sample("oxicorn-sync", 1, 11.0))
    assert [kept for _, kept in judge(found)] == [True, False]
    assert "**broken**" in markdown(found)


def test_a_server_without_a_number_keeps_its_row_and_its_reason() -> None:
    found = results(sample("granian", 1, 20.0))
    found.failures.append(Failure("bjoern", "hello", 1, "answers 500 instead of 200"))
    page = markdown(found)
    assert "| bjoern | not measured |" in page
    assert "- **bjoern**, `hello`, round 1: answers 500" in page


def test_the_spread_is_shown_beside_the_median() -> None:
    assert spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0 .. 3.0)"
    assert spread([3000.0, 1000.0], 0) == "2,000 (1,000 .. 3,000)"


def test_each_round_starts_with_another_server() -> None:
    names = ["bjoern", "granian", "uwsgi"]
    order = [server.name for _, _, server in schedule(3, names, ["hello"])]
    assert order == [*names, *names[1:], names[0], names[2], *names[:2]]


def test_a_case_is_for_the_servers_of_its_interface() -> None:
    names = ["oxicorn-sync", "oxicorn-sync-log", "uvicorn"]
    pairs = [(case.name, server.name) for _, case, server in schedule(1, names, ["hello", "echo", "asgi_hello"])]
    assert pairs == [
        ("hello", "oxicorn-sync"),
        ("hello", "oxicorn-sync-log"),
        ("echo", "oxicorn-sync"),
        ("asgi_hello", "uvicorn"),
    ]


def test_a_case_may_insist_on_its_connections() -> None:
    load = Load(connections=32, seconds=4)
    assert load.for_case(CASES["asgi_sleep"]).connections == 512
    assert load.for_case(CASES["hello"]) == load


def test_every_case_has_its_application_and_every_promise_its_row() -> None:
    assert {path.stem for path in APPS.glob("*.py")} >= {case.application for case in CASES.values()}
    for promise in PROMISES:
        for server in (promise.server, promise.baseline):
            assert SERVERS[server].serves(CASES[promise.case])


def test_the_tables_of_the_readme_are_those_of_the_results() -> None:
    page = README.read_text()
    assert renewed(page, BENCH / "results") == page
    assert page.count("| Oxicorn") >= 2


def test_a_table_shows_every_server_the_cheapest_first() -> None:
    document = {
        "servers": ["oxicorn-sync", "bjoern", "uvicorn"],
        "cases": ["hello", "asgi_hello"],
        "versions": {"bjoern": "3.2.2, CPython 3.11.7"},
        "samples": [
            {"server": "oxicorn-sync", "case": "hello", "cpu_us": 9.0},
            {"server": "bjoern", "case": "hello", "cpu_us": 8.0},
            {"server": "bjoern", "case": "hello", "cpu_us": 120.0},
            {"server": "bjoern", "case": "hello", "cpu_us": 8.25},
        ],
    }
    assert table(document, "WSGI").splitlines()[2:] == ["| Bjoern 3.2 | 8.2 |", "| Oxicorn, sync | 9.0 |"]
    assert table(document, "ASGI") == ""


def test_one_request_in_so_many_blocks_and_they_do_not_come_in_step() -> None:
    blocking = [number for number in range(5_000) if Mixture(50).blocks(number)]
    assert len(blocking) == 100


def test_quick_requests_wait_in_the_ideal_queue_only_where_all_threads_are_held() -> None:
    held = ideal(Mixture(1_000_000), rate=10.0, count=100, threads=1, quick_s=0.01, blocking_s=1.0)
    # The first request blocks for a second, and nine come meanwhile.
    assert len(held) == 99
    assert held[0] == pytest.approx(1.0 - 0.1 + 0.01)
    assert held[-1] == pytest.approx(0.01)
    assert max(ideal(Mixture(1_000_000), 10.0, 100, 2, 0.01, 1.0)) == pytest.approx(0.01)
