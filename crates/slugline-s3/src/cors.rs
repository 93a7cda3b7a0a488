//! What a browser may do on another site's behalf: a bucket's rules, and the headers that tell it.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// Methods that rules may name.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// One rule of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) id: Option<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) methods: Vec<String>,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    #[serde(default)]
    pub(crate) exposed: Vec<String>,
    pub(crate) max_age: Option<i32>,
}

impl Rule {
    /// Every site, every method, every header.
    pub(crate) fn open() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            id: None,
            origins: any(),
            methods: METHODS.map(str::to_owned).to_vec(),
            headers: any(),
            exposed: vec!["ETag".to_owned()],
            max_age: Some(3_600),
        }
    }

    /// What is wrong with it.
    pub(crate) fn wrong(&self) -> Option<String> {
        if self.origins.is_empty() || self.methods.is_empty() {
            return Some("A CORS rule needs an AllowedOrigin and an AllowedMethod".to_owned());
        }
        let method = self.methods.iter().find(|method| !METHODS.contains(&method.as_str()));
        if let Some(method) = method {
            return Some(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            ));
        }
        let mut patterns = self.origins.iter().chain(&self.headers);
        let pattern = patterns.find(|pattern| pattern.matches('*').count() > 1)?;
        Some(format!("\"{pattern}\" can not have more than one wildcard."))
    }

    fn allows(&self, origin: &str, method: &str, headers: &[String]) -> bool {
        let header = |name: &String| {
            self.headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name))
        };
        self.origins.iter().any(|pattern| matches(pattern, origin))
            && self.methods.iter().any(|one| one == method)
            && headers.iter().all(header)
    }

    /// What the browser is told.
    fn tell(&self, origin: &str, answer: &mut HeaderMap) {
        let any = self.origins.iter().any(|pattern| pattern == "*");
        let mut say = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.insert(name, value);
            }
        };
        say(ACCESS_CONTROL_ALLOW_ORIGIN, if any { "*" } else { origin });
        if !any {
            say(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        say(ACCESS_CONTROL_ALLOW_METHODS, &self.methods.join(", "));
        if !self.exposed.is_empty() {
            say(ACCESS_CONTROL_EXPOSE_HEADERS, &self.exposed.join(", "));
        }
        if let Some(seconds) = self.max_age {
            say(ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
    }
}

/// Whether a text is a pattern's, in which one `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

/// Answers what a browser asks before the request proper: headers, or none if it may not.
pub(crate) fn preflight(rules: &[Rule], request: &HeaderMap) -> Option<HeaderMap> {
    let text = |name: HeaderName| request.get(name).and_then(|value| value.to_str().ok());
    let (origin, method) = (text(ORIGIN)?, text(ACCESS_CONTROL_REQUEST_METHOD)?);
    let asked = text(ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let headers: Vec<String> = asked
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let rule = rules.iter().find(|rule| rule.allows(origin, method, &headers))?;
    let mut answer = HeaderMap::new();
    rule.tell(origin, &mut answer);
    if !headers.is_empty()
        && let Ok(headers) = HeaderValue::from_str(&headers.join(", "))
    {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
    }
    answer.insert(VARY, HeaderValue::from_static(VARIES));
    Some(answer)
}

const VARIES: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// What a request itself is answered with beside all else.
pub(crate) fn answer(rules: &[Rule], origin: &str, method: &str) -> HeaderMap {
    let mut answer = HeaderMap::new();
    if let Some(rule) = rules.iter().find(|rule| rule.allows(origin, method, &[])) {
        rule.tell(origin, &mut answer);
    }
    answer.insert(VARY, HeaderValue::from_static(VARIES));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        let list = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Rule {
            id: None,
            origins: list(&["http://*.localhost:5080", "https://example.com"]),
            methods: list(&["PUT", "GET"]),
            headers: list(&["Content-*", "x-amz-acl"]),
            exposed: list(&["ETag"]),
            max_age: Some(60),
        }
    }

    fn request(headers: &[(&'static str, &str)]) -> HeaderMap {
        let each = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        each.collect()
    }

    #[test]
    fn a_browser_is_told_what_a_rule_allows_it() {
        let ask = |origin: &str, method: &str, headers: &str| {
            preflight(
                &[rule()],
                &request(&[
                    ("origin", origin),
                    ("access-control-request-method", method),
                    ("access-control-request-headers", headers),
                ]),
            )
        };
        let told = ask("http://owl.localhost:5080", "PUT", "content-type, X-Amz-Acl").unwrap();
        assert_eq!(told[ACCESS_CONTROL_ALLOW_ORIGIN], "http://owl.localhost:5080");
        assert_eq!(told[ACCESS_CONTROL_ALLOW_METHODS], "PUT, GET");
        assert_eq!(told[ACCESS_CONTROL_ALLOW_HEADERS], "content-type, x-amz-acl");
        assert_eq!(told[ACCESS_CONTROL_MAX_AGE], "60");
        assert!(ask("http://evil.example", "PUT", "").is_none());
        assert!(ask("https://example.com", "DELETE", "").is_none());
        assert!(ask("https://example.com", "PUT", "authorization").is_none());
    }

    #[test]
    fn an_answer_to_another_origin_tells_nothing_but_that_it_varies() {
        assert_eq!(answer(&[rule()], "http://evil.example", "GET").len(), 1);
        let told = answer(&[rule()], "https://example.com", "GET");
        assert_eq!(told[ACCESS_CONTROL_EXPOSE_HEADERS], "ETag");
    }

    #[test]
    fn a_rule_that_could_mean_anything_is_refused() {
        assert_eq!(rule().wrong(), None);
        assert!(Rule { methods: vec!["TRACE".into()], ..rule() }.wrong().is_some());
        assert!(Rule { origins: vec!["*.*".into()], ..rule() }.wrong().is_some());
        assert!(Rule { origins: vec![], ..rule() }.wrong().is_some());
    }
}
