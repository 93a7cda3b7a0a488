//! A shop whose pictures are in its bucket, written with what every Python has, and signed addresses
//! for whoever stands outside.

use std::process::Command;

use serde_json::Value;

use crate::support::scene::Scene;

/// No picture, but bytes like those of one.
pub(crate) const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n of a cover \x00\xff";

/// Signature version 4 of an address, as every S3 client makes it.
const SIGN: &str = r#"
import datetime, hashlib, hmac, os, urllib.parse

def sign(method, host, path, seconds=300):
    env = os.environ
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{env['AWS_REGION']}/s3/aws4_request"
    path, _, asked = path.partition("?")
    query = urllib.parse.urlencode(sorted({**({asked: ""} if asked else {}),
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": env["AWS_ACCESS_KEY_ID"] + "/" + scope,
        "X-Amz-Date": now, "X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host",
    }.items()), quote_via=urllib.parse.quote, safe="")
    canonical = "\n".join([method, path, query, "host:" + host, "", "host", "UNSIGNED-PAYLOAD"])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, digest])
    key = ("AWS4" + env["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return f"{path}?{query}&X-Amz-Signature={hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}"
"#;

/// `/disk/KEY` keeps on the dyno's disk what is put there, and `/media/KEY` gets it; `/bucket` names the bucket; `/path/KEY` and `/host/KEY` put and get, in S3's two styles.
const SHOP: &str = r#"
import http.client, http.server, os
from sign import sign

BUCKET = os.environ.get("S3_BUCKET", "")

def ask(method, style, key, body=None):
    host = os.environ["S3_ENDPOINT_URL"].split("//")[1]
    host, path = (host, f"/{BUCKET}/{key}") if style == "path" else (f"{BUCKET}.{host}", f"/{key}")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request(method, sign(method, host, path), body)
    answer = connection.getresponse()
    return answer.status, answer.read()

class Shop(http.server.BaseHTTPRequestHandler):
    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.count("/") < 2:
            return self.say(200, BUCKET.encode())
        _, style, key = self.path.split("/")
        if style == "media":
            if not os.path.exists("media/" + key):
                return self.say(404, b"not on this disk")
            return self.say(200, open("media/" + key, "rb").read())
        self.say(*ask("GET", style, key.replace("%2F", "/")))

    def do_PUT(self):
        _, style, key = self.path.replace("%2F", ":").split("/")
        key = key.replace(":", "/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if style == "disk":
            os.makedirs("media", exist_ok=True)
            with open("media/" + key, "wb") as file:
                file.write(body)
            return self.say(200, b"")
        status, text = ask("PUT", style, key, body)
        self.say(200, str(status).encode() if status == 200 else text)

http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Shop).serve_forever()
"#;

/// Writes the app.
pub(crate) fn write_shop(scene: &Scene) {
    scene.write("Procfile", "web: python3 shop.py\n");
    scene.write("sign.py", SIGN);
    scene.write("shop.py", SHOP);
}

/// Signs addresses with an app's key.
pub(crate) struct Signed {
    pub(crate) bucket: String,
    vars: Vec<(String, String)>,
}

impl Signed {
    pub(crate) fn of(vars: &Value) -> Self {
        let all = vars.as_object().expect("config vars");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let vars: Vec<_> = all.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Self { bucket: text(&all["S3_BUCKET"]), vars }
    }

    /// A path with its signature, good for reading.
    pub(crate) fn address(&self, host: &str, path: &str) -> String {
        self.address_for("GET", host, path)
    }

    /// The same, good for something else.
    pub(crate) fn address_for(&self, method: &str, host: &str, path: &str) -> String {
        let script = format!("{SIGN}\nprint(sign({method:?}, {host:?}, {path:?}), end='')");
        let mut python = Command::new("python3");
        let output = python.arg("-c").arg(script).envs(self.vars.clone()).output();
        let output = output.expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("an address")
    }
}
