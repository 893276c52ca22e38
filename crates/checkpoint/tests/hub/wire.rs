//! HTTP requests and answers on a socket, and the ways in which an answer can go wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a server does instead of a proper answer.
#[derive(Clone, PartialEq)]
pub(crate) enum Fault {
    Status(u16, &'static str),
    /// Announces the whole body and closes the connection after so many bytes of it.
    CutAfter(usize),
    /// Sends so many bytes of the body and then nothing for a minute.
    StallAfter(usize),
    /// Announces and sends only so many bytes.
    Short(usize),
    /// Sends a byte more, without announcing a length.
    Long,
    /// Sends other bytes of the same length.
    Corrupt,
    IgnoreRange,
    Redirect(&'static str),
    /// A header in place of the proper one.
    Header(&'static str, &'static str),
}

/// A request as it was received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) on_hub: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    /// The path without its query.
    pub(crate) fn plain_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A proper answer, before a fault spoils it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(
        status: u16,
        headers: &[(&'static str, String)],
        body: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            status,
            headers: headers.iter().cloned().collect(),
            body: body.into(),
        }
    }

    pub(crate) fn error(status: u16, code: &'static str) -> Self {
        Self::new(status, &[("x-error-code", code.to_owned())], code)
    }
}

pub(crate) fn read_request(stream: &TcpStream, on_hub: bool) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_once(": ")
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        })
        .collect();
    Some(Request {
        on_hub,
        method,
        path,
        headers,
    })
}

pub(crate) fn take_range(answer: &mut Answer, range: &str) {
    let start: usize = range
        .strip_prefix("bytes=")
        .unwrap()
        .strip_suffix('-')
        .unwrap()
        .parse()
        .unwrap();
    let size = answer.body.len();
    if start >= size {
        *answer = Answer::new(416, &[("content-range", format!("bytes */{size}"))], "");
        return;
    }
    answer.status = 206;
    answer.headers.insert(
        "content-range",
        format!("bytes {start}-{}/{size}", size - 1),
    );
    answer.body.drain(..start);
}

pub(crate) fn write_answer(
    stream: &mut TcpStream,
    request: &Request,
    mut answer: Answer,
    fault: Option<Fault>,
) -> std::io::Result<()> {
    match &fault {
        Some(Fault::Status(status, code)) => answer = Answer::error(*status, code),
        Some(Fault::Redirect(to)) => {
            answer = Answer::new(302, &[("location", (*to).to_owned())], "");
        }
        Some(Fault::Header(name, value)) => drop(answer.headers.insert(name, (*value).to_owned())),
        Some(Fault::Corrupt) => answer.body.iter_mut().for_each(|byte| *byte ^= 1),
        Some(Fault::Short(length)) => answer.body.truncate(*length),
        Some(Fault::Long) => answer.body.push(0),
        _ => {}
    }
    write!(
        stream,
        "HTTP/1.1 {} X\r\nconnection: close\r\n",
        answer.status
    )?;
    if fault != Some(Fault::Long) {
        write!(stream, "content-length: {}\r\n", answer.body.len())?;
    }
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    if request.method == "HEAD" {
        return Ok(());
    }
    match fault {
        Some(Fault::CutAfter(length)) => stream.write_all(&answer.body[..length]),
        Some(Fault::StallAfter(length)) => {
            stream.write_all(&answer.body[..length])?;
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        _ => stream.write_all(&answer.body),
    }
}
