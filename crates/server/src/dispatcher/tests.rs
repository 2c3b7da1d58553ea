//! Which thread gets what, without threads: the tests are all of them.

use std::time::Instant;

use mio::{Events, Poll, Token};
use settings::Config;

use super::*;
use crate::connection::tests::dispatcher;
use crate::fixtures::{exchange, link};
use crate::options::Service;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A dispatcher with the poller that it wakes.
fn with(service: Service) -> (Arc<Dispatcher>, Poll) {
    let poll = Poll::new().unwrap();
    (dispatcher(&Config::default(), service, &poll), poll)
}

/// Has so many requests wait, whose clients are there.
fn ready(dispatcher: &Arc<Dispatcher>, count: usize) -> Vec<socket2::Socket> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let (link, far) = link();
        dispatcher
            .state()
            .ready
            .push_back(exchange(dispatcher, &link, GET));
        clients.push(far);
    }
    clients
}

fn take(dispatcher: &Dispatcher) -> Option<Call> {
    dispatcher.depart(&mut dispatcher.state())
}

/// Whether the poller has been woken; asking resets it.
fn is_woken(poll: &mut Poll) -> bool {
    let mut events = Events::with_capacity(8);
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    events
        .iter()
        .any(|event| event.token() == Token(usize::MAX))
}

#[test]
fn requests_are_taken_in_their_order_and_counted() {
    let (dispatcher, _poll) = with(Service::threads(4));
    let _clients = ready(&dispatcher, 3);
    assert_eq!(dispatcher.free(&dispatcher.state()), 1, "three wait");
    let calls: Vec<Call> = (0..3).map(|_| take(&dispatcher).unwrap()).collect();
    assert!(take(&dispatcher).is_none());
    assert_eq!(
        (dispatcher.slot.in_flight(), dispatcher.slot.requests()),
        (3, 3)
    );
    assert!(dispatcher.is_busy());
    drop(calls);
    assert_eq!(dispatcher.slot.in_flight(), 0);
    assert!(!dispatcher.is_busy());
    let messages = dispatcher.take_messages();
    assert!(matches!(
        messages[..],
        [
            Message::Finished(..),
            Message::Finished(..),
            Message::Finished(..)
        ]
    ));
    assert!(dispatcher.take_messages().is_empty());
}

#[test]
fn a_worker_all_of_whose_threads_are_taken_says_since_when() {
    let (dispatcher, _poll) = with(Service::threads(2));
    let _clients = ready(&dispatcher, 2);
    let first = take(&dispatcher).unwrap();
    assert_eq!(dispatcher.slot.busy_since_ms(), 0, "one is free");
    let second = take(&dispatcher).unwrap();
    assert_ne!(dispatcher.slot.busy_since_ms(), 0);
    assert_eq!(dispatcher.free(&dispatcher.state()), 0);
    drop(first);
    assert_eq!(dispatcher.slot.busy_since_ms(), 0);
    assert_eq!(dispatcher.free(&dispatcher.state()), 1);
    drop(second);
}

#[test]
fn an_event_loop_has_a_place_for_every_request_and_is_never_saturated() {
    let (dispatcher, _poll) = with(Service::EVENT_LOOP);
    dispatcher.state().leader = Leader::Loop;
    let _clients = ready(&dispatcher, 15);
    let calls: Vec<Call> = (0..15).map(|_| take(&dispatcher).unwrap()).collect();
    assert!(dispatcher.free(&dispatcher.state()) > 1_000_000);
    assert_eq!(
        dispatcher.slot.busy_since_ms(),
        0,
        "it says itself that it is alive"
    );
    dispatcher.beat();
    assert_ne!(dispatcher.slot.busy_since_ms(), 0);
    drop(calls);
    assert_ne!(dispatcher.slot.busy_since_ms(), 0, "its beat stands");
}

#[test]
fn a_thread_that_has_taken_many_requests_looks_at_the_listeners() {
    let (dispatcher, _poll) = with(Service::threads(1));
    let _clients = ready(&dispatcher, 20);
    for _ in 0..LOOK_AFTER {
        drop(take(&dispatcher).unwrap());
    }
    assert!(
        take(&dispatcher).is_none(),
        "there are more, and somebody may wait to be accepted"
    );
    assert_eq!(
        dispatcher.free(&dispatcher.state()),
        1,
        "so one is accepted"
    );
    dispatcher.state().leader = Leader::Thread;
    assert!(take(&dispatcher).is_some(), "the leader looks in any case");
    dispatcher.state().leader = Leader::Nobody;
    dispatcher.looked(&mut dispatcher.state());
    assert!(take(&dispatcher).is_some());
}

#[test]
fn a_request_whose_client_is_gone_is_passed_over_and_told() {
    let (dispatcher, mut poll) = with(Service::threads(4));
    let (gone, far) = link();
    drop(far);
    gone.give_up(SinkError::Disconnected);
    let request = exchange(&dispatcher, &gone, GET);
    dispatcher.state().ready.push_back(request);
    let _clients = ready(&dispatcher, 1);
    let call = take(&dispatcher).expect("the next");
    assert_eq!(dispatcher.slot.requests(), 1, "it counts for nothing");
    assert!(!is_woken(&mut poll), "nobody turns the reactor");
    let messages = dispatcher.take_messages();
    assert!(matches!(messages[..], [Message::Abandoned(_)]));
    drop(call);
}

#[test]
fn the_reactor_is_woken_once_for_all_that_has_come_and_only_where_it_is_turned() {
    let (dispatcher, mut poll) = with(Service::threads(4));
    let message = || Message::Pending(ExchangeId::default());
    dispatcher.tell(message());
    assert!(
        !is_woken(&mut poll),
        "whose turn it is next reads it anyway"
    );
    dispatcher.state().leader = Leader::Thread;
    dispatcher.tell(message());
    assert!(is_woken(&mut poll));
    dispatcher.tell(message());
    assert!(!is_woken(&mut poll), "it was told already");
    assert_eq!(dispatcher.take_messages().len(), 3);
    dispatcher.tell(message());
    assert!(is_woken(&mut poll), "it had read all");
}

#[test]
fn a_turn_reads_no_more_messages_than_it_may() {
    let (dispatcher, mut poll) = with(Service::threads(4));
    for _ in 0..=MESSAGES {
        dispatcher.tell(Message::Pending(ExchangeId::default()));
    }
    assert_eq!(dispatcher.take_messages().len(), MESSAGES);
    assert!(is_woken(&mut poll), "there is more");
    assert_eq!(dispatcher.take_messages().len(), 1);
    assert!(!is_woken(&mut poll));
}

#[test]
fn a_quick_stop_overrides_a_graceful_one_and_not_the_other_way() {
    let (dispatcher, mut poll) = with(Service::threads(4));
    assert_eq!(dispatcher.stopping(), None);
    dispatcher.shut_down(Shutdown::Graceful);
    assert!(is_woken(&mut poll));
    assert_eq!(dispatcher.stopping(), Some(Shutdown::Graceful));
    dispatcher.shut_down(Shutdown::Quick);
    dispatcher.shut_down(Shutdown::Graceful);
    assert_eq!(dispatcher.stopping(), Some(Shutdown::Quick));
}

#[test]
fn a_worker_that_has_served_its_number_asks_for_a_successor_once() {
    let (dispatcher, _poll) = with(Service::threads(4));
    dispatcher.slot.set_state(State::Ready);
    dispatcher.options.set_max_requests(2);
    let _clients = ready(&dispatcher, 3);
    drop(take(&dispatcher));
    assert_eq!(dispatcher.slot.state(), State::Ready);
    drop(take(&dispatcher));
    assert_eq!(dispatcher.slot.state(), State::Recycling);
    dispatcher.slot.set_state(State::Stopping);
    drop(take(&dispatcher));
    assert_eq!(
        dispatcher.slot.state(),
        State::Stopping,
        "what was asked for is under way"
    );
}

#[test]
fn a_thread_that_waits_for_its_client_does_not_count_as_stuck() {
    let (dispatcher, _poll) = with(Service::threads(1));
    let (link, far) = link();
    dispatcher
        .state()
        .ready
        .push_back(exchange(&dispatcher, &link, GET));
    let call = take(&dispatcher).unwrap();
    link.send(&[&vec![0; 8_000_000]]).unwrap();
    let outlet = Outlet::Link(Arc::clone(&link));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| dispatcher.wait_for_room(&outlet));
        let begun = Instant::now();
        while dispatcher.slot.busy_since_ms() != 0 {
            assert!(begun.elapsed() < Duration::from_secs(10));
            std::thread::yield_now();
        }
        drop(far);
        link.give_up(SinkError::Disconnected);
        assert_eq!(waiting.join().unwrap(), Err(SinkError::Disconnected));
    });
    assert_ne!(
        dispatcher.slot.busy_since_ms(),
        0,
        "the application has it again"
    );
    drop(call);
}

#[test]
fn an_interruption_ends_the_wait_of_a_thread_that_no_other_can_be_called_for() {
    let (dispatcher, _poll) = with(Service::threads(1));
    let (link, _far) = link();
    link.send(&[&vec![0; 8_000_000]]).unwrap();
    let outlet = Outlet::Link(Arc::clone(&link));
    dispatcher.state().interrupted = true;
    assert_eq!(
        dispatcher.wait_for_room(&outlet),
        Ok(()),
        "it came before the wait"
    );
    assert!(!dispatcher.state().interrupted);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| dispatcher.wait_for_room(&outlet));
        while dispatcher.state().held_up.is_empty() {
            std::thread::yield_now();
        }
        let mut state = dispatcher.state();
        state.interrupted = true;
        dispatcher.call_for_interruption(&state);
        drop(state);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
    assert!(dispatcher.state().held_up.is_empty());
}

#[test]
fn a_leaving_worker_says_so_where_the_others_look() {
    let (dispatcher, _poll) = with(Service::threads(1));
    dispatcher.publish_connections(7);
    assert_eq!(dispatcher.slot.connections(), 7);
    dispatcher.publish_leaving();
    assert_eq!(dispatcher.slot.state(), State::Stopping);
}
