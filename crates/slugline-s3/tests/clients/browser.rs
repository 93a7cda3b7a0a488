//! A browser, on another site's page: it puts and gets by the addresses that each client signed, and
//! sees nothing without, or too late.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::scene::install;

/// What the page does with each client's addresses; it says in its title what came of it.
const PAGE: &str = r"<!doctype html><title>…</title><script>
const refused = (url, options) => fetch(url, options).then((a) => a.status === 403, () => true);
const tried = async ([name, { put, get, plain, expired }]) => {
  const said = [name];
  if (put) {
    const putting = await fetch(put, { method: 'PUT', body: new Blob(['by a browser']) });
    said.push(putting.status, putting.headers.get('etag') ? 'tag' : 'none');
  }
  said.push(await (await fetch(get)).text());
  for (const [url, options] of [[plain], [expired], [get, { method: 'DELETE' }]]) {
    said.push(await refused(url, options) ? 'refused' : 'not refused');
  }
  return said.join(' ');
};
Promise.all(LINKS.map(tried)).then((all) => { document.title = all.join('; '); })
  .catch((error) => { document.title = 'failed: ' + error; });
</script>";

/// Each client left its addresses in its directory: one a line, after what it is for. Where it
/// signs none for putting there is none.
pub(crate) fn uses_what_they_signed(links: &Path, names: &[&str]) {
    install::debian("chromium");
    let (mut of_all, mut expected) = (Vec::new(), Vec::new());
    for name in names {
        let text = std::fs::read_to_string(links.join(name).join("links")).unwrap();
        let told: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
        let fields: Vec<_> = told.iter().map(|(kind, url)| format!("{kind}: {url:?}")).collect();
        of_all.push(format!("[{name:?}, {{{}}}]", fields.join(", ")));
        let puts = told.iter().any(|(kind, _)| *kind == "put");
        let done = if puts { "200 tag by a browser" } else { "a picture" };
        expected.push(format!("{name} {done} refused refused refused"));
    }
    let page = serve(PAGE.replace("LINKS", &format!("[{}]", of_all.join(",\n"))));
    assert_eq!(title(page), expected.join("; "));
}

/// Another site: another port.
fn serve(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (mut stream, mut head) = (stream, [0; 4_096]);
            // One that says nothing gets the page, too.
            let _ = stream.read(&mut head);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{page}",
                page.len()
            );
        }
    });
    port
}

/// What the page's title is in the end.
fn title(port: u16) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--no-proxy-server", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .unwrap();
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    title.map_or_else(
        || panic!("{page}\n{}", String::from_utf8_lossy(&output.stderr)),
        |(title, _)| title.to_owned(),
    )
}
