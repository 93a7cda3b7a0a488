//! Uploading a book's cover, as the page does it.

use serde_json::Value;

use super::support::scene::Scene;

/// A GIF of one pixel.
pub(crate) const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\
    \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

const BOUNDARY: &str = "----between-the-parts";

/// Uploads a cover for the first book; returns its URL.
pub(crate) fn upload(scene: &Scene) -> String {
    try_upload(scene).expect("the cover is taken")
}

/// The same; nothing where the dyno that answers does not take it.
pub(crate) fn try_upload(scene: &Scene) -> Option<String> {
    let books: Value = serde_json::from_slice(&scene.get("/api/books").body).ok()?;
    let id = books["books"][0]["id"].as_u64()?;
    let token = csrf_token(scene)?;
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let cookie = format!("csrftoken={token}");
    let headers = [("Content-Type", &kind), ("Cookie", &cookie), ("X-CSRFToken", &token)];
    let headers = headers.map(|(name, value)| (name, value.as_str()));
    let answer = scene.send("POST", &format!("/api/books/{id}/cover"), &headers, &form()).ok()?;
    let book: Value = serde_json::from_slice(&answer.body).ok()?;
    (answer.status == 200).then(|| book["cover"].as_str().map(str::to_owned))?
}

/// From the cookie that comes with the page.
fn csrf_token(scene: &Scene) -> Option<String> {
    let page = scene.get("/");
    let cookie = page.header("Set-Cookie").strip_prefix("csrftoken=")?;
    cookie.split(';').next().map(str::to_owned)
}

fn form() -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"cover\"; filename=\"cover.gif\"\r\n\
         Content-Type: image/gif\r\n\r\n"
    );
    [head.as_bytes(), PICTURE, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}
