//! Sites and apps that need no language: built by `slugline compile`, and the site then served by
//! what is in the slug. Nothing here needs a network but one test with npm.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod building;
#[path = "support/http.rs"]
mod http;
#[path = "support/ports.rs"]
mod ports;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use building::{App, Built};
use http::{Request, Response};

/// A site as a dyno serves it: what is in the slug, started as the process type says.
struct Serving {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Serving {
    fn start(built: &Built, environment: &[(&str, &str)]) -> Self {
        assert_eq!(built.code, 0, "{}", built.output);
        let port = ports::free_port();
        let mut command = Command::new("/bin/bash");
        command.args(["-c", built.result["process_types"]["web"].as_str().unwrap()]);
        command.current_dir(&built.build_dir).env("HOME", &built.build_dir);
        command.env("PORT", port.to_string()).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with("static: serving "), "{line}");
        Self { child, output, port }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let host = "site.example";
        Request { port: self.port, host, method, path, headers, body: b"" }.send().unwrap()
    }

    fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[])
    }

    /// Status and text of a path.
    fn page(&self, path: &str) -> (u16, String) {
        let response = self.get(path);
        (response.status, response.text())
    }

    /// Status and `Location` of a path.
    fn moved(&self, path: &str) -> (u16, String) {
        let response = self.get(path);
        (response.status, response.header("Location").to_owned())
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Ends it as a dyno is ended; the answer is its log.
    fn stop(mut self) -> String {
        self.terminate();
        let mut log = String::new();
        self.output.read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success());
        log
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ok(text: &str) -> (u16, String) {
    (200, text.to_owned())
}

#[test]
fn an_index_html_is_a_site() {
    let mut app = App::new()
        .file("index.html", "<h1>home</h1>")
        .file("css/a.css", "a{}")
        .file("docs/index.html", "docs")
        .file(".env", "SECRET=1");
    let built = app.build();
    assert_eq!(
        told(&built),
        [
            "-----> Building on the Host stack",
            "-----> Determining which buildpack to use for this app",
            "-----> Static HTML app detected",
            "-----> Serving the app's root",
            "-----> Discovering process types",
            "       Procfile declares types     -> (none)",
            "       Default types for buildpack -> web",
        ]
    );
    let site = Serving::start(&built, &[]);
    assert_eq!(site.page("/"), ok("<h1>home</h1>"));
    let css = site.get("/css/a.css");
    assert_eq!((css.status, css.text().as_str()), (200, "a{}"));
    assert_eq!(css.header("Content-Type"), "text/css; charset=UTF-8");
    assert_eq!(site.page("/docs/"), ok("docs"));
    assert_eq!(site.moved("/docs?a=1"), (301, "/docs/?a=1".to_owned()));
    for path in ["/.env", "/none", "/.slugline/bin/slugline", "/.profile.d"] {
        assert_eq!(site.get(path).status, 404, "{path}");
    }
    for path in ["/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/a%00b"] {
        assert_eq!(site.get(path).status, 400, "{path}");
    }
    let head = site.ask("HEAD", "/", &[]);
    assert_eq!((head.header("Content-Length"), head.text().as_str()), ("13", ""));
    let post = site.ask("POST", "/", &[]);
    assert_eq!((post.status, post.header("Allow")), (405, "GET, HEAD"));
    let log = site.stop();
    let line = log.lines().next().unwrap();
    assert!(line.starts_with("method=GET path=\"/\" status=200 bytes=13 service="), "{log}");
    assert!(log.contains("path=\"/none\" status=404 "), "{log}");
}

/// The whole output but for the sizes of things.
fn told(built: &Built) -> Vec<&str> {
    assert_eq!(built.code, 0, "{}", built.output);
    let lines = built.output.lines().filter(|line| !line.contains(" in Ns (now "));
    lines.take_while(|line| *line != "-----> Biggest parts of the slug").collect()
}

#[test]
fn static_json_says_how_a_site_is_served() {
    let json = r#"{"root": "www/", "clean_urls": true, "error_page": "errors/404.html",
        "routes": {"/app/**": "app.html"},
        "redirects": {"/old/gone": {"url": "https://${ELSEWHERE}/", "status": 302}},
        "headers": {"/**": {"X-All": "yes", "X-Page": "none"}, "/about": {"X-Page": "about"}},
        "logging": {"access": false}}"#;
    let mut app = App::new()
        .file("static.json", json)
        .file("Procfile", "web: bin/boot\n")
        .file("www/about.html", "about")
        .file("www/app.html", "app")
        .file("www/errors/404.html", "nothing here");
    let site = Serving::start(&app.build(), &[("ELSEWHERE", "b.example")]);
    let about = site.get("/about");
    assert_eq!((about.status, about.text().as_str()), (200, "about"));
    assert_eq!((about.header("X-Page"), about.header("X-All")), ("about", ""));
    let route = site.get("/app/any/thing");
    assert_eq!((route.status, route.text().as_str()), (200, "app"));
    assert_eq!((route.header("X-Page"), route.header("X-All")), ("none", "yes"));
    assert_eq!(site.moved("/old/gone"), (302, "https://b.example/".to_owned()));
    assert_eq!(site.page("/none"), (404, "nothing here".to_owned()));
    assert_eq!(site.stop(), "");

    let json = r#"{"root": "www", "https_only": true, "canonical_host": "www.example"}"#;
    let site = Serving::start(&app.file("static.json", json).build(), &[]);
    assert_eq!(site.moved("/about.html?q"), (301, "https://site.example/about.html?q".to_owned()));
    let https = site.ask("GET", "/about.html", &[("X-Forwarded-Proto", "https")]);
    assert_eq!(https.header("Location"), "https://www.example/about.html");
}

#[test]
fn caches_ranges_and_compressed_neighbours_are_served_as_the_web_has_it() {
    let mut app = App::new()
        .file("public_html/index.html", "0123456789")
        .file("public_html/a.js", "plain")
        .file("public_html/a.js.gz", "zipped")
        .file("public_html/a.js.br", "brotli");
    let site = Serving::start(&app.build(), &[]);
    let first = site.get("/");
    let (tag, modified) = (first.header("ETag"), first.header("Last-Modified"));
    assert!(tag.len() == 34 && modified.ends_with(" GMT"), "{first:?}");
    for condition in [("If-None-Match", tag), ("If-Modified-Since", modified)] {
        let again = site.ask("GET", "/", &[condition]);
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{condition:?}");
        assert_eq!(again.header("ETag"), tag);
    }
    let other =
        site.ask("GET", "/", &[("If-None-Match", "\"x\""), ("If-Modified-Since", modified)]);
    assert_eq!(other.status, 200);
    let part = site.ask("GET", "/", &[("Range", "bytes=2-4")]);
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("Content-Range"), "bytes 2-4/10");
    let beyond = site.ask("GET", "/", &[("Range", "bytes=10-")]);
    assert_eq!((beyond.status, beyond.header("Content-Range")), (416, "bytes */10"));
    let changed = site.ask("GET", "/", &[("Range", "bytes=2-4"), ("If-Range", "\"x\"")]);
    assert_eq!((changed.status, changed.text().as_str()), (200, "0123456789"));
    for (accepted, text, encoding) in
        [("gzip, br", "brotli", "br"), ("gzip", "zipped", "gzip"), ("br;q=0", "plain", "")]
    {
        let script = site.ask("GET", "/a.js", &[("Accept-Encoding", accepted)]);
        assert_eq!((script.text().as_str(), script.header("Content-Encoding")), (text, encoding));
        assert_eq!(script.header("Vary"), "Accept-Encoding");
        assert_eq!(script.header("Content-Type"), "text/javascript; charset=UTF-8");
    }
}

#[test]
fn a_link_out_of_the_site_is_not_followed() {
    let mut app = App::new().file("public_html/index.html", "x").file("secret", "s");
    let site = app.path("source/public_html");
    std::os::unix::fs::symlink("../secret", site.join("out")).unwrap();
    std::os::unix::fs::symlink("index.html", site.join("in")).unwrap();
    let site = Serving::start(&app.build(), &[]);
    assert_eq!(site.get("/out").status, 404);
    assert_eq!(site.page("/in"), ok("x"));
}

#[test]
fn a_request_under_way_is_answered_before_the_server_ends() {
    let large = "x".repeat(8 << 20);
    let mut app = App::new().file("public_html/index.html", "").file("public_html/large", &large);
    let site = Serving::start(&app.build(), &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut start = [0; 15];
    stream.read_exact(&mut start).unwrap();
    site.terminate();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let body = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(rest.len() - body, large.len());
    site.stop();
}

#[test]
fn a_site_that_cannot_be_served_is_explained() {
    let built = App::new()
        .file("static.json", r#"{"proxies": {"/api/": {"origin": "https://api.example"}}}"#)
        .build();
    built.expect_lines(
        50,
        &[
            " !     static.json asks for `proxies`, which is not done here",
            " !     Next: remove `proxies` from static.json",
        ],
    );
    let built = App::new().file("static.json", r#"{"root": "dist"}"#).build();
    built.expect_lines(50, &[" !     There is no directory dist to serve"]);
}

#[test]
fn a_front_end_is_built_by_nodejs_and_served_afterwards() {
    let mut app = App::new()
        .file(".buildpacks", "heroku/nodejs\nheroku/static\n")
        .file(
            "package.json",
            r#"{"name": "x", "version": "1.0.0", "private": true,
                "scripts": {"build": "mkdir dist && echo built > dist/index.html"}}"#,
        )
        .file("static.json", r#"{"root": "dist", "routes": {"/**": "index.html"}}"#);
    let built = app.build();
    built.expect_lines(0, &["-----> Node.js app detected", "-----> Static HTML app detected"]);
    let site = Serving::start(&built, &[]);
    assert_eq!(site.page("/any/page"), ok("built\n"));
}

#[test]
fn an_app_with_a_procfile_alone_is_its_own_slug() {
    let mut app = App::new().file("Procfile", "web: ./serve\nworker: ./work\n").file("serve", "x");
    assert_eq!(
        told(&app.build()),
        [
            "-----> Building on the Host stack",
            "-----> Determining which buildpack to use for this app",
            "-----> Procfile app detected",
            "-----> Nothing to compile: the source is what runs",
            "-----> Discovering process types",
            "       Procfile declares types     -> web, worker",
        ]
    );
    // It would start, and find no interpreter.
    let mut app = app.file("Gemfile", "");
    app.build().expect_lines(30, &[" !     No buildpack recognises this app"]);
    let built = app.file(".buildpacks", "heroku/procfile\n").build();
    built.expect_lines(0, &["-----> Procfile app detected"]);
}
