//! A browser, on another site's page: it puts and gets by signed addresses, and sees nothing without.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use http::Method;
use object_store::path::Path as Key;
use object_store::signer::Signer as _;

use crate::scene::{BUCKET, Scene, client, install};

/// What the page does; it says in its title what came of it.
const PAGE: &str = r"<!doctype html><title>…</title><script>
const [put, get, plain] = URLS;
const code = (answer) => answer.status;
const failed = () => 'refused';
(async () => {
  const said = [];
  const body = new Blob(['from a browser'], { type: 'text/plain' });
  const putting = await fetch(put, { method: 'PUT', body });
  said.push(putting.status, putting.headers.get('etag') ? 'tag' : 'none');
  said.push(await (await fetch(get)).text());
  said.push(await fetch(plain).then(code, failed));
  said.push(await fetch(get, { method: 'DELETE' }).then(code, failed));
  document.title = said.join(' ');
})().catch((error) => { document.title = 'failed: ' + error; });
</script>";

#[test]
fn a_browser_puts_and_gets_by_signed_addresses() {
    install::debian("chromium");
    let scene = Scene::new();
    let s3 = client(scene.port, &scene.keys);
    let signed = |method: Method| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let key = Key::from("from/a browser.txt");
        let signed = runtime.block_on(s3.signed_url(method, &key, Duration::from_mins(1)));
        signed.unwrap().to_string()
    };
    let plain = format!("http://127.0.0.1:{}/{BUCKET}/from/a%20browser.txt", scene.port);
    let urls = format!("{:?}", [signed(Method::PUT), signed(Method::GET), plain]);
    let page = serve(PAGE.replace("URLS", &urls));
    assert_eq!(title(page), "200 tag from a browser 403 403");
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
