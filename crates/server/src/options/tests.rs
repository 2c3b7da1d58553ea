//! What settings become.

use sys::pipe::Notifier;
use sys::scoreboard::Scoreboard;

use super::*;

fn options(config: &Config, service: Service) -> Options {
    let seat = Seat {
        rates: None,
        slot: Scoreboard::new(1).unwrap().slot(0),
        notifier: Notifier::new().unwrap(),
        max_requests: 0,
        service,
        siblings: None,
        access_file: None,
        tls: None,
    };
    Options::new(config, &seat)
}

#[test]
fn bodies_lead_and_places_are_three_facts() {
    let all = [Bodies::Whole, Bodies::Streamed];
    for bodies in all {
        for lead in [Lead::Threads, Lead::EventLoop] {
            for (places, expected) in [(Places::Limited(3), 3), (Places::Unlimited, u32::MAX)] {
                let service = Service {
                    bodies,
                    lead,
                    places,
                };
                let options = options(&Config::default(), service);
                let facts = (options.bodies(), options.lead(), options.places());
                assert_eq!(facts, (bodies, lead, expected));
            }
        }
    }
}

#[test]
fn how_a_server_is_served_may_turn_out_later() {
    let options = options(&Config::default(), Service::threads(0));
    assert_eq!(options.places(), 1, "one place at least");
    options.serve_by(Service::EVENT_LOOP);
    assert_eq!(
        (options.bodies(), options.lead()),
        (Bodies::Streamed, Lead::EventLoop)
    );
    assert_eq!(options.places(), u32::MAX);
}

#[test]
fn a_time_out_of_zero_is_none_and_an_idle_time_of_zero_is_short() {
    let config = Config {
        header_timeout: Duration::ZERO,
        body_timeout: Duration::from_millis(1500),
        send_timeout: Duration::ZERO,
        keepalive: Duration::ZERO,
        ..Config::default()
    };
    let session = options(&config, Service::threads(1)).session;
    assert_eq!(
        (session.header_timeout, session.send_timeout),
        (Millis::MAX, Millis::MAX)
    );
    assert_eq!((session.body_timeout, session.keep_alive), (1500, 0));
}

#[test]
fn limits_and_licences_reach_the_parser() {
    let config = Config {
        limit_request_line: 1,
        limit_request_fields: 2,
        limit_request_field_size: 3,
        limit_request_body: 4,
        permit_unconventional_http_method: true,
        casefold_http_method: true,
        permit_unconventional_http_version: true,
        permit_obsolete_folding: true,
        strip_header_spaces: true,
        ..Config::default()
    };
    let session = options(&config, Service::threads(1)).session;
    let expected = Limits {
        request_line: 1,
        fields: 2,
        field_size: 3,
        unconventional_method: true,
        casefold_method: true,
        unconventional_version: true,
        obsolete_folding: true,
        space_before_colon: true,
    };
    assert_eq!((session.limits, session.body_limit), (expected, 4));
    let usual = options(&Config::default(), Service::threads(1)).session;
    assert_eq!(
        usual.limits,
        Limits::default(),
        "Gunicorn's limits are the parser's own"
    );
}

#[test]
fn a_limit_of_zero_is_none() {
    let config = Config {
        limit_concurrency: 0,
        websocket_max_message_size: 0,
        ..Config::default()
    };
    let options = options(&config, Service::threads(1));
    assert_eq!(options.concurrency, None);
    assert_eq!(options.websockets.message_bytes, usize::MAX);
}

#[test]
fn the_number_of_requests_of_a_worker_can_be_changed() {
    let options = options(&Config::default(), Service::threads(1));
    assert_eq!(options.max_requests(), 0);
    options.set_max_requests(5);
    assert_eq!(options.max_requests(), 5);
}

#[test]
fn responses_get_what_the_operator_asked_for() {
    let config = Config {
        server_header: false,
        date_header: true,
        response_headers: vec![("X-A".into(), "1".into())],
        ..Config::default()
    };
    let options = options(&config, Service::threads(1));
    let added = options.additions(b"now");
    assert!(!added.server);
    assert_eq!(added.date, Some(b"now".as_slice()));
    assert_eq!(added.fields, [("X-A".to_owned(), "1".to_owned())]);
}
