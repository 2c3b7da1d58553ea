//! Streams between two ends of the h2 crate that share nothing but memory: the client takes what the test lets it take.

use std::future::Future;
use std::io::Write as _;
use std::pin::{Pin, pin};

use http::{HeaderValue, Request, Response};

use super::*;
use crate::http2::pipe::Pipe;

/// Enough turns for all frames of a test to arrive, acknowledgements included.
const TURNS: usize = 8;

/// A client with one request, and the stream of that request.
struct Exchanged {
    near: Pipe,
    far: Pipe,
    client: h2::client::Connection<Pipe, Bytes>,
    server: h2::server::Connection<Pipe, Bytes>,
    response: h2::client::ResponseFuture,
    upload: SendStream<Bytes>,
    stream: Stream,
    /// Kept: a client without it says goodbye.
    _requests: h2::client::SendRequest<Bytes>,
}

/// What the client has of the response.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    is_over: bool,
    reset: Option<Reason>,
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn now<T>(future: impl Future<Output = Result<T, h2::Error>>) -> T {
    match pin!(future).poll(&mut context()) {
        Poll::Ready(done) => done.unwrap(),
        Poll::Pending => panic!("memory lets nobody wait"),
    }
}

/// A request to which the client takes `window` bytes of a body.
fn request(window: u32) -> Exchanged {
    let (near, far) = (Pipe::default(), Pipe::default());
    near.set_room(1 << 20);
    far.set_room(1 << 20);
    let builder = h2::client::Builder::new()
        .initial_window_size(window)
        .clone();
    let (mut requests, mut client) = now(builder.handshake::<_, Bytes>(far.clone()));
    near.feed(&far.take_output());
    let mut server = now(h2::server::Builder::new().handshake::<_, Bytes>(near.clone()));
    let head = Request::post("http://example.com/").body(()).unwrap();
    let (response, upload) = requests.send_request(head, false).unwrap();
    let mut accepted = None;
    for _ in 0..TURNS {
        let _ = Pin::new(&mut client).poll(&mut context());
        near.feed(&far.take_output());
        if let Poll::Ready(Some(request)) = server.poll_accept(&mut context()) {
            accepted = Some(request.unwrap());
        }
        far.feed(&near.take_output());
    }
    let (head, respond) = accepted.unwrap();
    let stream = Stream::new(ExchangeId::default(), respond, head.into_body());
    Exchanged {
        near,
        far,
        client,
        server,
        response,
        upload,
        stream,
        _requests: requests,
    }
}

impl Exchanged {
    /// Has all that is under way arrive.
    fn turn(&mut self) {
        for _ in 0..TURNS {
            let _ = self.server.poll_accept(&mut context());
            self.far.feed(&self.near.take_output());
            let _ = Pin::new(&mut self.client).poll(&mut context());
            self.near.feed(&self.far.take_output());
        }
    }

    /// The head of the response.
    fn head(&mut self) -> Result<Response<RecvStream>, h2::Error> {
        self.turn();
        match Pin::new(&mut self.response).poll(&mut context()) {
            Poll::Ready(response) => response,
            Poll::Pending => panic!("there is no head"),
        }
    }

    /// What has arrived since the last look. The window stays as it is.
    fn take(&mut self, body: &mut RecvStream) -> Received {
        self.turn();
        let mut received = Received::default();
        while let Poll::Ready(Some(data)) = body.poll_data(&mut context()) {
            match data {
                Ok(data) => received.data.extend_from_slice(&data),
                Err(error) => {
                    received.reset = error.reason();
                    return received;
                }
            }
        }
        if let Poll::Ready(Ok(trailers)) = body.poll_trailers(&mut context()) {
            received.trailers = trailers;
        }
        received.is_over = body.is_end_stream();
        received
    }
}

fn ok() -> Fields {
    Response::new(())
}

fn data(bytes: &[u8]) -> Received {
    Received {
        data: bytes.to_vec(),
        ..Received::default()
    }
}

fn last(bytes: &[u8]) -> Received {
    Received {
        is_over: true,
        ..data(bytes)
    }
}

fn trailer(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("digest"),
        HeaderValue::from_static(value),
    )])
}

#[test]
fn what_the_window_admits_leaves_at_once() {
    let mut exchanged = request(1000);
    exchanged.stream.begin(ok(), Last::No);
    exchanged.stream.push(b"one ", Last::No);
    let mut response = exchanged.head().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(exchanged.take(response.body_mut()), data(b"one "));
    exchanged.stream.push(b"two", Last::Yes);
    assert_eq!(exchanged.take(response.body_mut()), last(b"two"));
    assert!(exchanged.stream.backlog.is_empty());
}

#[test]
fn what_the_window_does_not_admit_waits_for_it() {
    let mut exchanged = request(10);
    let body: Vec<u8> = (0..25).collect();
    exchanged.stream.begin(ok(), Last::No);
    exchanged.stream.push(&body, Last::Yes);
    assert_eq!(exchanged.stream.backlog.left(), 15);
    let mut response = exchanged.head().unwrap();
    assert_eq!(exchanged.take(response.body_mut()), data(&body[..10]));
    assert_eq!(exchanged.stream.refill(1000), 0, "the client has not read");
    for (range, left) in [(10..20, 5), (20..25, 0)] {
        let flow = response.body_mut().flow_control();
        flow.release_capacity(flow.used_capacity()).unwrap();
        exchanged.turn();
        assert_eq!(exchanged.stream.refill(1000), range.len());
        assert_eq!(exchanged.stream.backlog.left(), left);
        let expected = Received {
            is_over: left == 0,
            ..data(&body[range])
        };
        assert_eq!(exchanged.take(response.body_mut()), expected);
    }
    assert_eq!(exchanged.stream.moved, 15);
    exchanged.stream.released = true;
    assert!(exchanged.stream.is_done());
}

#[test]
fn a_turn_moves_no_more_than_its_share() {
    let mut exchanged = request(1000);
    exchanged.stream.holds = true;
    exchanged.stream.begin(ok(), Last::No);
    exchanged.stream.push(b"0123456789", Last::Yes);
    let mut response = exchanged.head().unwrap();
    assert_eq!(
        exchanged.take(response.body_mut()),
        data(b""),
        "the socket is full"
    );
    assert_eq!(exchanged.stream.refill(4), 4);
    assert_eq!(exchanged.take(response.body_mut()), data(b"0123"));
    assert_eq!(exchanged.stream.refill(100), 6);
    assert_eq!(exchanged.take(response.body_mut()), last(b"456789"));
}

#[test]
fn trailers_come_behind_what_waits() {
    let mut exchanged = request(3);
    exchanged.stream.begin(ok(), Last::No);
    exchanged.stream.push(b"abcdef", Last::No);
    exchanged.stream.finish(Some(trailer("x")));
    let mut response = exchanged.head().unwrap();
    assert_eq!(exchanged.take(response.body_mut()), data(b"abc"));
    response
        .body_mut()
        .flow_control()
        .release_capacity(3)
        .unwrap();
    exchanged.turn();
    assert_eq!(exchanged.stream.refill(100), 3);
    let expected = Received {
        trailers: Some(trailer("x")),
        ..last(b"def")
    };
    assert_eq!(exchanged.take(response.body_mut()), expected);
}

#[test]
fn a_part_of_a_file_is_sent_as_the_window_admits() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"..the part..").unwrap();
    let mut exchanged = request(1000);
    exchanged.stream.begin(ok(), Last::No);
    exchanged
        .stream
        .push_file(FilePart::new(file, 2, 8), Last::Yes);
    let mut response = exchanged.head().unwrap();
    assert_eq!(exchanged.stream.refill(100), 8);
    assert_eq!(exchanged.take(response.body_mut()), last(b"the part"));
}

#[test]
fn a_file_that_has_become_shorter_breaks_the_response_off() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"short").unwrap();
    let mut exchanged = request(1000);
    exchanged.stream.begin(ok(), Last::No);
    exchanged
        .stream
        .push_file(FilePart::new(file, 0, 500), Last::Yes);
    let mut response = exchanged.head().unwrap();
    exchanged.stream.refill(1000);
    exchanged.stream.refill(1000);
    let received = exchanged.take(response.body_mut());
    assert_eq!(received.reset, Some(Reason::INTERNAL_ERROR));
}

#[test]
fn a_head_that_is_the_whole_response_takes_nothing_more() {
    let mut exchanged = request(1000);
    exchanged.stream.begin(ok(), Last::Yes);
    exchanged.stream.push(b"too late", Last::Yes);
    exchanged.stream.finish(Some(trailer("too late")));
    let mut response = exchanged.head().unwrap();
    assert_eq!(exchanged.take(response.body_mut()), last(b""));
    assert!(exchanged.stream.backlog.is_empty());
}

#[test]
fn an_interim_response_comes_before_the_head() {
    let mut exchanged = request(1000);
    let mut hints = Response::new(());
    *hints.status_mut() = http::StatusCode::EARLY_HINTS;
    exchanged.stream.interim(hints);
    exchanged.stream.begin(ok(), Last::Yes);
    assert_eq!(exchanged.head().unwrap().status(), 200);
    assert!(exchanged.stream.failure.is_none());
}

#[test]
fn an_interim_status_for_a_whole_response_is_an_error_of_the_server() {
    let mut exchanged = request(1000);
    let mut hints = Response::new(());
    *hints.status_mut() = http::StatusCode::EARLY_HINTS;
    exchanged.stream.begin(hints, Last::Yes);
    let error = exchanged.head().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
}

#[test]
fn a_response_that_is_cut_is_reset_and_forgets_what_waits() {
    let mut exchanged = request(3);
    exchanged.stream.begin(ok(), Last::No);
    exchanged.stream.push(b"abcdef", Last::No);
    let mut response = exchanged.head().unwrap();
    exchanged.stream.reset(Reason::CANCEL);
    assert!(exchanged.stream.backlog.is_empty());
    let received = exchanged.take(response.body_mut());
    assert_eq!(received.reset, Some(Reason::CANCEL));
    exchanged.stream.released = true;
    assert!(exchanged.stream.is_done());
}

#[test]
fn a_client_that_breaks_off_is_noticed_before_and_after_the_head() {
    for begun in [false, true] {
        let mut exchanged = request(1000);
        if begun {
            exchanged.stream.begin(ok(), Last::No);
        }
        exchanged.turn();
        assert!(!exchanged.stream.was_reset(), "{begun}");
        exchanged.upload.send_reset(Reason::CANCEL);
        exchanged.turn();
        assert!(exchanged.stream.was_reset(), "{begun}");
    }
}

#[test]
fn what_is_sent_to_a_client_that_has_gone_is_the_departure() {
    let mut exchanged = request(1000);
    exchanged.upload.send_reset(Reason::CANCEL);
    exchanged.turn();
    exchanged.stream.begin(ok(), Last::No);
    exchanged.stream.push(b"data", Last::Yes);
    assert!(matches!(
        exchanged.stream.failure,
        Some(SinkError::Disconnected)
    ));
    assert!(exchanged.stream.flags.gone.load(Ordering::SeqCst));
    assert!(exchanged.stream.backlog.is_empty());
}

#[test]
fn a_failure_keeps_its_first_reason() {
    let mut exchanged = request(1000);
    exchanged.stream.fail(SinkError::TimedOut);
    exchanged.stream.fail(SinkError::Disconnected);
    assert!(matches!(
        exchanged.stream.failure,
        Some(SinkError::TimedOut)
    ));
}
