//! Downloads that a closed network cannot make: a directory or another host takes their place.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};

use super::support::account::Account;
use super::{Place, commit};

/// A buildpack of the app's own, which runs a script.
fn inline(place: &Place, script: &str) {
    place.scene.write("bin/detect", "#!/bin/sh\necho Inline\n");
    place.scene.write("bin/compile", &format!("#!/usr/bin/env bash\ncd /tmp\n{script}"));
}

const START: &str = "-----> Building on the Host stack, announced as heroku-24\n\
                     -----> Using buildpack: heroku/inline\n-----> Inline app detected\n";

#[test]
fn curl_and_wget_find_a_directory_where_a_host_would_be() {
    for account in Account::all() {
        let mut place = Place::new(&account);
        place.file("archives/runtime/a b.txt", "hello\n");
        place.file("secret", "nobody's");
        let link = place.path("archives/runtime/out");
        std::os::unix::fs::symlink(place.path("secret"), link).unwrap();
        place.mirror("https://archives.example/", "archives");
        inline(
            &place,
            "A=https://archives.example/runtime
            echo \"1 $(curl --fail --silent --show-error \"$A/a%20b.txt\")\"
            curl --fail -sS -o x \"$A/missing\" 2>&1; echo \"2 status $?\"
            curl -s -o x --write-out '3 %{http_code} %{size_download}\\n' \"$A/a%20b.txt?query\"
            echo \"4 $(curl -sI \"$A/a%20b.txt\" | tr -d '\\r' | head -2 | paste -sd' ')\"
            curl -s -o x -w '5 %{http_code}\\n' --path-as-is \"$A/../../secret\"
            curl -s -o x -w '6 %{http_code}\\n' \"$A/out\"
            curl -sS --proto '=https' --retry 2 -o x --url \"$A/a%20b.txt\" && echo \"7 $(cat x)\"
            printf he > part; curl -s -C - -o part \"$A/a%20b.txt\"; echo \"8 $(cat part)\"
            http_proxy=http://127.0.0.1:1 all_proxy=http://127.0.0.1:1 \
                curl -sS -o x -w '9 %{http_code}\\n' \"$A/a%20b.txt\"
            curl -s -X POST -o x -w '10 %{http_code}\\n' \"$A/a%20b.txt\"
            curl -s -o x -w '11 %{http_code}\\n' -e \"$A/\" https://archives.example/
            echo \"12 $(wget -q -O - \"$A/a%20b.txt\")\"
            wget -q \"$A/missing\"; echo \"13 status $?\"
            echo \"14 $(curl -sS \"$A/a%20b.txt\" | tar x 2>/dev/null || echo broken pipe is no harm)\"
            ls -ld /.slugline/mirrors/0/runtime/x 2>/dev/null; touch /.slugline/mirrors/0/x 2>/dev/null
            echo \"15 status $?\"
            ",
        );
        assert_eq!(
            place.build(),
            START.to_owned()
                + "1 hello
curl: (22) The requested URL returned error: 404
2 status 22
3 200 6
4 HTTP/1.1 200 OK Content-Length: 6
5 404
6 404
7 hello
8 hello
9 200
10 405
11 404
12 hello
13 status 8
14 broken pipe is no harm
15 status 1
",
            "as {account}"
        );
    }
}

#[test]
fn another_host_takes_the_place_of_one_for_curl_wget_and_git() {
    for account in Account::all() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || answer_with_paths(&listener));
        let mut place = Place::new(&account);
        place.file("repositories/team/tool.git/file", "from a directory\n");
        commit(&place.path("repositories/team/tool.git"));
        place.mirror("https://dist.example/", format!("http://127.0.0.1:{port}/all/"));
        place.mirror("https://dist.example/tools/", format!("http://127.0.0.1:{port}/tools/"));
        place.mirror("https://git.example/", "repositories");
        inline(
            &place,
            "curl -sS https://dist.example/a/b?c=d
            curl -sSL https://dist.example/redirect
            wget -qO - https://dist.example/tools/x
            git clone -q --depth 1 https://git.example/team/tool.git t && cat t/file
            git -C t log --format=%s
            git clone -q https://git.example/team/none.git 2>/dev/null; echo \"status $?\"
            env | grep -cE 'GIT_CONFIG|mirror' || true
            ",
        );
        assert_eq!(
            place.build(),
            START.to_owned()
                + "GET /all/a/b?c=d\nGET /all/moved\nGET /tools/x\nfrom a directory\nfirst commit\n\
                   status 128\n0\n",
            "as {account}"
        );
    }
}

/// A server that says what it was asked for.
fn answer_with_paths(listener: &TcpListener) {
    for mut stream in listener.incoming().flatten() {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
        let asked = first.trim_end_matches(" HTTP/1.1");
        let (status, body) = match asked {
            "GET /all/redirect" => ("302 Found\r\nLocation: /all/moved", String::new()),
            _ => ("200 OK", format!("{asked}\n")),
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
        write!(stream, "{head}\r\n{body}").unwrap();
    }
}
