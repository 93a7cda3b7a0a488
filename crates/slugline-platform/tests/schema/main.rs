//! Every answer of the API has the shape that Heroku's has, and every link of Heroku's is there, or
//! is not for a reason.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod calls;
mod fuzz;
mod missing;
mod shape;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

/// What Heroku answers.
static KNOWN: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../src/api/schema/shapes.json")).unwrap()
});

/// A link of Heroku's.
#[derive(Debug, Clone)]
struct Link {
    method: &'static str,
    path: &'static str,
    resource: &'static str,
    answer: &'static Value,
    input: &'static Value,
}

fn links() -> Vec<Link> {
    let links = KNOWN["links"].as_array().unwrap().iter();
    let text = |link: &'static Value, at: usize| link[at].as_str().unwrap();
    links
        .map(|link| Link {
            method: text(link, 0),
            path: text(link, 1),
            resource: text(link, 2),
            answer: &link[3],
            input: &link[4],
        })
        .collect()
}

impl Link {
    /// The shapes that an answer may have: one path may be several links.
    fn shape(&self) -> Option<Value> {
        let of = |name: &str| KNOWN["shapes"].get(name).cloned();
        match self.answer {
            Value::String(name) => of(name),
            Value::Array(names) => {
                Some(serde_json::json!({ "t": ["array"], "i": of(names[0].as_str()?)? }))
            }
            Value::Object(given) => given.get("shape").cloned(),
            _ => None,
        }
    }

    /// Whether a request's path is one of this link's.
    fn is(&self, method: &str, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let (ours, theirs) = (path.split('/'), self.path.split('/'));
        let fits = |(ours, theirs): (&str, &str)| theirs == "{}" || ours == theirs;
        self.method == method
            && ours.clone().count() == theirs.clone().count()
            && ours.zip(theirs).all(fits)
    }
}

/// The link that a request means: one that is written out beats one with a variable there.
fn link_of<'a>(links: &'a [Link], method: &str, path: &str) -> Option<&'a Link> {
    let mut fitting: Vec<&Link> = links.iter().filter(|link| link.is(method, path)).collect();
    fitting.sort_by_key(|link| link.path.matches("{}").count());
    fitting.first().copied()
}

#[tokio::test]
async fn every_answer_has_herokus_shape() {
    let links = links();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for call in calls::all().await {
        let Some(link) = link_of(&links, &call.method, &call.path) else {
            wrong.push(format!("{} {}: Heroku has no such link", call.method, call.path));
            continue;
        };
        seen.insert((link.method, link.path));
        let at = format!("{} {}", call.method, call.path);
        if !call.status.is_success() {
            wrong.push(format!("{at}: {} {}", call.status, call.body));
            continue;
        }
        let Some(shape) = link.shape() else { continue };
        if call.body.as_array().is_some_and(Vec::is_empty) && !calls::may_be_empty(link.path) {
            wrong.push(format!("{at}: the list is empty, so that nothing of it was seen"));
        }
        wrong.extend(shape::faults(&shape, &call.body).into_iter().map(|f| format!("{at}{f}")));
        let items = call.body.as_array().map_or(vec![&call.body], |items| items.iter().collect());
        let of_item = shape.get("i").unwrap_or(&shape);
        for absent in items.first().into_iter().flat_map(|item| shape::absent(of_item, item)) {
            if !missing::is_fine_without(link.resource, &absent) {
                wrong.push(format!("{at}.{absent}: it is absent"));
            }
        }
    }
    for link in &links {
        let known = (link.method, link.path);
        match (missing::reason(link.method, link.path, link.resource), seen.contains(&known)) {
            (None, false) => wrong.push(format!(
                "{} {} ({}): neither called here nor named as missing",
                link.method, link.path, link.resource
            )),
            (Some(reason), true) => {
                wrong.push(format!("{known:?} is called, and named as missing: {reason}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn what_is_not_there_says_why() {
    let test = support::TestPlatform::with_app().await;
    let mut wrong = Vec::new();
    for link in links() {
        let Some(_) = missing::reason(link.method, link.path, link.resource) else { continue };
        let mut path = link.path.replace("/apps/{}", "/apps/library");
        path = path.replace("{}", "00000000-0000-4000-8000-000000000099");
        let (status, body) = test.call(link.method, &path, serde_json::json!({})).await;
        let told = body["message"].as_str().is_some_and(|message| message.len() > 10);
        let fine = [401, 404, 405, 422, 501].contains(&status.as_u16()) && told;
        // Some are answered by what another resource has there, or by an empty list.
        if !fine && !status.is_success() {
            wrong.push(format!("{} {path}: {status} {body}", link.method));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who asks these reads no schema: git, its hook, and whoever wants what is not there.
const NOT_TOLD: [&str; 4] = ["git.rs", "git_lfs.rs", "push.rs", "refused.rs"];

#[tokio::test]
async fn the_servers_own_schema_has_every_route_and_no_other() {
    let test = support::TestPlatform::new().await;
    let schema = test.get("/schema").await;
    let definitions = schema["definitions"].as_object().unwrap().values();
    let links =
        definitions.flat_map(|definition| definition["links"].as_array().into_iter().flatten());
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let told: BTreeSet<_> =
        links.map(|link| (string(&link["href"]), string(&link["method"]))).collect();
    let mut routed = BTreeSet::new();
    for route in support::routes::routes() {
        if NOT_TOLD.contains(&route.file.as_str()) {
            continue;
        }
        let path = route.path.replace("{*", "{");
        let methods = route.methods.iter().filter(|method| *method != "any");
        routed.extend(methods.map(|method| (path.clone(), method.to_uppercase())));
    }
    let missing: Vec<_> = routed.difference(&told).collect();
    let strange: Vec<_> = told.difference(&routed).collect();
    assert!(
        missing.is_empty() && strange.is_empty(),
        "not told: {missing:?}, not there: {strange:?}"
    );
    for link in &told {
        assert_eq!(link.0.matches('{').count(), link.0.matches('}').count(), "{link:?}");
    }
}
