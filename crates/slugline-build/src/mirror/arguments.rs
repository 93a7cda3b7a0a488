//! The arguments of `curl` and `wget`, with mirrors' addresses where covered ones stood.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use slugline_model::mirror::{Mirror, MirrorTarget, covering};

/// A program whose arguments are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Curl,
    Wget,
}

/// Options of curl whose value may look like an address and is none that is fetched.
const CURL_VALUES: &[&str] = &[
    "-A",
    "--user-agent",
    "-b",
    "--cookie",
    "-c",
    "--cookie-jar",
    "-d",
    "--data",
    "--data-ascii",
    "--data-binary",
    "--data-raw",
    "--data-urlencode",
    "-e",
    "--referer",
    "-F",
    "--form",
    "-H",
    "--header",
    "-o",
    "--output",
    "-w",
    "--write-out",
    "-x",
    "--proxy",
];

/// The same for wget.
const WGET_VALUES: &[&str] =
    &["-O", "--output-document", "-U", "--user-agent", "--header", "--post-data", "--referer"];

/// Arguments, read once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) args: Vec<OsString>,
    /// Whether a directory stands behind one of them, so that it has to be served.
    pub(super) serves: bool,
}

impl Client {
    pub(super) fn named(name: &OsStr) -> Option<Self> {
        match name.to_str() {
            Some("curl") => Some(Self::Curl),
            Some("wget") => Some(Self::Wget),
            _ => None,
        }
    }

    fn takes_value(self, option: &OsStr) -> bool {
        let options = match self {
            Self::Curl => CURL_VALUES,
            Self::Wget => WGET_VALUES,
        };
        options.iter().any(|known| option == *known)
    }
}

/// The directories among the mirrors, by index.
pub(super) fn directories(mirrors: &[Mirror]) -> Vec<Option<PathBuf>> {
    let directory = |mirror: &Mirror| match &mirror.to {
        MirrorTarget::Directory(path) => Some(path.clone()),
        MirrorTarget::Url(_) => None,
    };
    mirrors.iter().map(directory).collect()
}

/// Puts mirrors' addresses into the arguments. Those of directories are served at a port of
/// loopback; without one, their arguments stay as they are.
pub(super) fn rewrite(
    client: Option<Client>,
    args: &[OsString],
    mirrors: &[Mirror],
    port: Option<u16>,
) -> Rewritten {
    let Some(client) = client else { return Rewritten { args: args.to_vec(), serves: false } };
    let mut rewritten = Rewritten { args: Vec::with_capacity(args.len()), serves: false };
    let mut before: &OsStr = OsStr::new("");
    for arg in args {
        let value = client.takes_value(before);
        let found = (!value).then(|| arg.to_str()).flatten();
        let new = found.and_then(|text| address(text, mirrors, port, &mut rewritten.serves));
        let new = new.map_or_else(|| option_value(client, before, arg, port), OsString::from);
        rewritten.args.push(new);
        before = arg;
    }
    rewritten
}

fn address(text: &str, mirrors: &[Mirror], port: Option<u16>, serves: &mut bool) -> Option<String> {
    let (option, url) = match text.split_once('=') {
        Some(("--url", url)) => ("--url=", url),
        _ => ("", text),
    };
    let (index, rest) = covering(mirrors, url)?;
    match &mirrors[index].to {
        MirrorTarget::Url(prefix) => Some(format!("{option}{prefix}{rest}")),
        MirrorTarget::Directory(_) => {
            *serves = true;
            port.map(|port| format!("{option}http://127.0.0.1:{port}/{index}/{rest}"))
        }
    }
}

/// Values that would keep curl from loopback: it is reached by plain HTTP and without a proxy.
fn option_value(client: Client, option: &OsStr, value: &OsStr, port: Option<u16>) -> OsString {
    let mut value = value.to_owned();
    if client == Client::Curl && port.is_some() {
        match option.to_str() {
            Some("--proto") => value.push(",+http"),
            Some("--noproxy") => value.push(",127.0.0.1"),
            _ => {}
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors() -> Vec<Mirror> {
        vec![
            Mirror {
                from: "https://a.example/".into(),
                to: MirrorTarget::Url("http://m.example/a/".into()),
            },
            Mirror {
                from: "https://b.example/".into(),
                to: MirrorTarget::Directory("/srv/b".into()),
            },
        ]
    }

    fn check(client: Client, args: &[&str], expected: &[&str], serves: bool) {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let rewritten = rewrite(Some(client), &args, &mirrors(), Some(7));
        assert_eq!(rewritten.args, expected);
        assert_eq!(rewritten.serves, serves);
    }

    #[test]
    fn addresses_that_are_fetched_are_replaced_and_values_are_not() {
        check(
            Client::Curl,
            &["-sSfL", "-e", "https://a.example/", "--url", "https://a.example/x?y#z", "-o", "f"],
            &["-sSfL", "-e", "https://a.example/", "--url", "http://m.example/a/x?y#z", "-o", "f"],
            false,
        );
        check(
            Client::Wget,
            &["--referer=https://a.example/", "-qO", "-", "https://a.example/x", "c.example"],
            &["--referer=https://a.example/", "-qO", "-", "http://m.example/a/x", "c.example"],
            false,
        );
    }

    #[test]
    fn a_directory_is_reached_on_loopback_whatever_was_allowed() {
        check(
            Client::Curl,
            &["--proto", "=https", "--noproxy", "c.example", "https://b.example/d/x"],
            &[
                "--proto",
                "=https,+http",
                "--noproxy",
                "c.example,127.0.0.1",
                "http://127.0.0.1:7/1/d/x",
            ],
            true,
        );
    }

    #[test]
    fn without_a_port_it_is_only_said_that_one_is_needed() {
        let args = [OsString::from("https://b.example/d/x")];
        let rewritten = rewrite(Some(Client::Curl), &args, &mirrors(), None);
        assert_eq!(rewritten, Rewritten { args: args.to_vec(), serves: true });
    }
}
