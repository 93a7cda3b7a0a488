//! A request and its answer, which become one line of the app's log whatever happens.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use slugline_model::code::Code;
use slugline_model::logline::{LogLine, LogSink, Source};
use slugline_model::name::{AppName, DynoName};
use slugline_model::route::{Answering, host_name};

/// What is known of an exchange. Its line is written when it is dropped.
pub(crate) struct Exchange {
    pub(crate) log: Arc<dyn LogSink>,
    pub(crate) app: AppName,
    pub(crate) method: http::Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) host: String,
    /// `http` or `https`.
    pub(crate) protocol: &'static str,
    pub(crate) request_id: String,
    /// Every address that the request came through, the client's own last.
    pub(crate) forwarded: String,
    pub(crate) dyno: Option<DynoName>,
    /// Counts this request as one that the dyno answers.
    pub(crate) answering: Option<Answering>,
    /// How long connecting to the dyno took.
    pub(crate) connect: Option<Duration>,
    /// When the dyno had the request.
    pub(crate) sent: Option<Instant>,
    /// Without one at the end, the client has left.
    pub(crate) status: Option<http::StatusCode>,
    /// Of the response's body, so far.
    pub(crate) bytes: Option<u64>,
    pub(crate) code: Option<Code>,
    /// The earlier release whose slug the answer comes from.
    pub(crate) bridged: Option<u64>,
}

impl Exchange {
    /// Notes what went wrong. What went wrong first is what is told.
    pub(crate) fn fail(&mut self, code: Code) {
        self.code.get_or_insert(code);
    }

    fn status(&self) -> u16 {
        match (self.code, self.status) {
            (Some(code), _) => code.status(),
            (None, status) => status.map_or(0, |status| status.as_u16()),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.status.is_none() && self.code.is_none() {
            self.code = Some(Code::H27);
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let line = LogLine {
            time: i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            source: Source::Heroku,
            process: "router".to_owned(),
            text: self.to_string(),
        };
        self.log.write(self.app.as_str(), line);
    }
}

/// Heroku's grammar, which tools parse; a value that is not known is empty.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => f.write_str("at=info")?,
            Some(code) => {
                let (side, level) = side_and_level(code);
                let (code, what) = (code.as_str(), code.description());
                write!(f, "{side}at={level} code={code} desc=\"{what}\"")?;
            }
        }
        let Self { method, request_id, .. } = self;
        let (path, host) = (Quoted(&self.path), Bare(host_name(&self.host)));
        let (forwarded, dyno) = (Quoted(&self.forwarded), Known(self.dyno.as_ref(), ""));
        let connect = Known(self.connect.map(|time| time.as_millis()), "ms");
        let service = Known(self.sent.map(|sent| sent.elapsed().as_millis()), "ms");
        let (status, bytes) = (self.status(), Known(self.bytes, ""));
        write!(
            f,
            " method={method} path={path} host={host} request_id={request_id} fwd={forwarded} \
             dyno={dyno} connect={connect} service={service} status={status} bytes={bytes} \
             protocol={}",
            self.protocol
        )?;
        // Ours, and behind what tools parse.
        self.bridged.map_or(Ok(()), |release| write!(f, " bridge=v{release}"))
    }
}

/// Which side's connection broke, where that is what happened, and how bad it is.
fn side_and_level(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::H18 => ("sock=backend ", "error"),
        Code::H27 => ("sock=client ", "warning"),
        Code::H28 => ("", "warning"),
        Code::H80 | Code::H81 => ("", "info"),
        _ => ("", "error"),
    }
}

/// A value and its unit, or nothing.
struct Known<T>(Option<T>, &'static str);

impl<T: fmt::Display> fmt::Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => write!(f, "{value}{}", self.1),
            None => Ok(()),
        }
    }
}

/// A client's text between quotes that it cannot leave.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.bytes().any(|b| b == b'"' || b.is_ascii_control()) {
            let harmless = self.0.replace('"', "%22").replace(|c: char| c.is_control(), "%");
            return write!(f, "\"{harmless}\"");
        }
        write!(f, "\"{}\"", self.0)
    }
}

/// A client's text that cannot pass for two fields.
struct Bare<'a>(&'a str);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harmless = self.0.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=');
        f.write_str(if harmless { self.0 } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl LogSink for Nowhere {
        fn write(&self, _: &str, _: LogLine) {}
    }

    fn exchange() -> Exchange {
        Exchange {
            log: Arc::new(Nowhere),
            app: "owl".parse().unwrap(),
            method: http::Method::GET,
            path: "/".into(),
            host: "owl.example:5080".into(),
            protocol: "http",
            request_id: "0f3b".into(),
            forwarded: "203.0.113.9".into(),
            dyno: None,
            answering: None,
            connect: None,
            sent: None,
            status: None,
            bytes: None,
            code: None,
            bridged: None,
        }
    }

    #[test]
    fn an_answered_request_reads_as_herokus() {
        let mut exchange = exchange();
        exchange.dyno = Some("web.1".parse().unwrap());
        exchange.connect = Some(Duration::from_millis(1));
        exchange.sent = Some(Instant::now());
        exchange.status = Some(http::StatusCode::OK);
        exchange.bytes = Some(13);
        assert_eq!(
            exchange.to_string(),
            "at=info method=GET path=\"/\" host=owl.example request_id=0f3b fwd=\"203.0.113.9\" \
             dyno=web.1 connect=1ms service=0ms status=200 bytes=13 protocol=http"
        );
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let mut exchange = exchange();
        exchange.fail(Code::H14);
        exchange.fail(Code::H27);
        assert_eq!(
            exchange.to_string(),
            "at=error code=H14 desc=\"No web processes running\" method=GET path=\"/\" \
             host=owl.example request_id=0f3b fwd=\"203.0.113.9\" dyno= connect= service= \
             status=503 bytes= protocol=http"
        );
    }

    #[test]
    fn a_broken_connection_says_whose() {
        let start = |code| {
            let mut exchange = exchange();
            exchange.fail(code);
            exchange.to_string().split(" method").next().map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(
            start(Code::H27),
            "sock=client at=warning code=H27 desc=\"Client Request Interrupted\""
        );
        assert_eq!(
            start(Code::H18),
            "sock=backend at=error code=H18 desc=\"Server Request Interrupted\""
        );
    }

    #[test]
    fn a_client_cannot_write_fields_of_its_own() {
        let mut exchange = exchange();
        exchange.fail(Code::H14);
        exchange.path = "/\" status=200 x=\"".into();
        exchange.host = "a status=200".into();
        let line = exchange.to_string();
        assert!(line.contains("path=\"/%22 status=200 x=%22\" host= request_id"), "{line}");
    }
}
