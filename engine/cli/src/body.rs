//! A request's body that waits to be asked for.
//!
//! An engine refuses a candidate that is too large before it has read it. A client that is still sending by
//! then sees a broken connection instead of the reason. So the request says `Expect: 100-continue`, and the
//! body follows when the engine has said that it reads it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{EXPECT, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::sync::mpsc;

/// Bytes that are sent once they are asked for.
pub(crate) struct Awaited {
    content: Bytes,
    asked: mpsc::Receiver<()>,
}

/// Gives the request a body. If it is empty, there is nothing to wait for.
pub(crate) fn attach(request: Request<()>, content: Vec<u8>) -> Request<Awaited> {
    let (ask, asked) = mpsc::channel(1);
    let mut request = request.map(|()| Awaited { content: content.into(), asked });
    if !request.body().content.is_empty() {
        request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
        hyper::ext::on_informational(&mut request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                // An error says that it was asked for before.
                let _ = ask.try_send(());
            }
        });
    }
    request
}

impl Body for Awaited {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.content.is_empty() {
            return Poll::Ready(None);
        }
        match ready!(self.asked.poll_recv(context)) {
            Some(()) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.content))))),
            // The final answer came instead: nobody wants the body any more.
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len() as u64)
    }
}
