//! One repository of a registry, as requests go to it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use slugline_model::exchange::RegistryTarget;

use super::auth::{Challenge, parse_challenge, written_down};
use super::reference::Reference;
use super::{Manners, RegistryError};
use crate::oci::document::LARGEST;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(15);

/// How much is told of a refusal (characters).
const TOLD: usize = 300;

/// A repository.
pub(crate) struct Repository {
    pub(crate) reference: Reference,
    pub(crate) manners: Manners,
    http: reqwest::Client,
    base: Url,
    plain: bool,
    credentials: Option<(String, String)>,
    /// What goes with each request, once the registry has said what it wants.
    authorization: Mutex<Option<HeaderValue>>,
}

/// The ways in which a repository is used, as tokens are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Pull,
    Push,
}

impl Repository {
    pub(crate) fn open(
        target: &RegistryTarget,
        reference: Reference,
        manners: Manners,
    ) -> Result<Self, RegistryError> {
        static RING: Once = Once::new();
        // Whoever installed one before has chosen as well.
        RING.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let plain = target.plain_http || reference.is_loopback();
        let scheme = if plain { "http" } else { "https" };
        let (host, name) = (reference.api_host(), &reference.repository);
        let prepare = |source| RegistryError::Prepare { host: reference.host.clone(), source };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{name}/"))
            .map_err(|error| prepare(error.into()))?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .user_agent(concat!("slugline/", env!("CARGO_PKG_VERSION")));
        if reference.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| prepare(error.into()))?;
        let credentials = target.credentials.clone().or_else(|| written_down(&reference.host));
        let authorization = Mutex::default();
        Ok(Self { reference, manners, http, base, plain, credentials, authorization })
    }

    /// The URL of something in the repository.
    pub(crate) fn url(&self, rest: &str) -> Url {
        self.base.join(rest).unwrap_or_else(|_| self.base.clone())
    }

    /// Where the registry says to go on. Without TLS only where that was wanted.
    pub(crate) fn location(&self, what: &str, answer: &Response) -> Result<Url, RegistryError> {
        let why = "it does not say where to go on";
        let error = || RegistryError::Answer { what: what.to_owned(), why };
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let url = answer.url().join(location.ok_or_else(error)?).map_err(|_| error())?;
        if url.scheme() == "https" || self.plain { Ok(url) } else { Err(error()) }
    }

    /// Sends a request, once more if the registry wants a login for it. `make` adds to it.
    pub(crate) async fn send(
        &self,
        what: &str,
        (method, url): (Method, &Url),
        access: Access,
        make: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        self.send_watched(what, (method, url), access, &Arc::default(), make).await
    }

    /// The same, of a body whose progress is counted: it takes as long as it goes on.
    pub(crate) async fn send_watched(
        &self,
        what: &str,
        (method, url): (Method, &Url),
        access: Access,
        sent: &Arc<AtomicU64>,
        make: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        for attempt in 0..2 {
            let request = make(self.http.request(method.clone(), url.clone()));
            let answer = self.patiently(what, sent, self.authorized(request, url).send());
            let answer = answer.await?.map_err(connection(what))?;
            if answer.status() != StatusCode::UNAUTHORIZED || attempt > 0 {
                return denied(what, answer, self.credentials.is_some());
            }
            self.log_in(what, &answer, access).await?;
        }
        Err(RegistryError::Denied { what: what.to_owned(), wants: "another login" })
    }

    /// Waits for as long as something goes on.
    async fn patiently<T>(
        &self,
        what: &str,
        progress: &AtomicU64,
        work: impl Future<Output = T>,
    ) -> Result<T, RegistryError> {
        let mut work = std::pin::pin!(work);
        let patience = self.manners.patience;
        loop {
            let before = progress.load(Ordering::Relaxed);
            match tokio::time::timeout(patience, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) if progress.load(Ordering::Relaxed) != before => {}
                Err(_) => return Err(RegistryError::Silent { what: what.to_owned(), patience }),
            }
        }
    }

    /// The next piece of an answer's body; none at its end.
    pub(crate) async fn chunk(
        &self,
        what: &str,
        answer: &mut Response,
    ) -> Result<Option<bytes::Bytes>, RegistryError> {
        let chunk = self.patiently(what, &AtomicU64::new(0), answer.chunk()).await?;
        chunk.map_err(connection(what))
    }

    /// A small body.
    pub(crate) async fn small(
        &self,
        what: &str,
        mut answer: Response,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(what, &mut answer).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > LARGEST {
                let why = "the answer is larger than any honest one";
                return Err(RegistryError::Answer { what: what.to_owned(), why });
            }
        }
        Ok(bytes)
    }

    /// What is wrong, by an answer of a status that was not hoped for.
    pub(crate) async fn refused(&self, what: &str, answer: Response) -> RegistryError {
        #[derive(Default, Deserialize)]
        struct Errors {
            errors: Vec<Told>,
        }
        #[derive(Deserialize)]
        struct Told {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let status = answer.status().as_u16();
        let body = self.small(what, answer).await.unwrap_or_default();
        let errors: Errors = serde_json::from_slice(&body).unwrap_or_default();
        let told = errors.errors.iter().map(|told| format!("{} {}", told.code, told.message));
        let told = told.collect::<Vec<_>>().join(", ").chars().take(TOLD).collect::<String>();
        let told = told.escape_debug().to_string();
        RegistryError::Status { what: what.to_owned(), status, told }
    }

    /// A login is for the registry alone, wherever it sends us.
    fn authorized(&self, request: RequestBuilder, url: &Url) -> RequestBuilder {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref() {
            Some(value) if url.origin() == self.base.origin() => {
                request.header(AUTHORIZATION, value.clone())
            }
            _ => request,
        }
    }

    async fn log_in(
        &self,
        what: &str,
        answer: &Response,
        access: Access,
    ) -> Result<(), RegistryError> {
        let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let mut challenges =
            headers.filter_map(|value| value.to_str().ok()).filter_map(parse_challenge);
        let denied = |wants| RegistryError::Denied { what: what.to_owned(), wants };
        let value = match challenges.next() {
            Some(Challenge::Basic) => {
                let (user, password) =
                    self.credentials.as_ref().ok_or_else(|| denied("a login"))?;
                let pair = format!("{user}:{password}");
                format!("Basic {}", STANDARD.encode(pair))
            }
            Some(Challenge::Bearer { realm, service, scope }) => {
                format!("Bearer {}", self.token(&realm, service, scope, access).await?)
            }
            None => return Err(denied("a kind of login that is not known here")),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| denied("another login"))?;
        value.set_sensitive(true);
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
        access: Access,
    ) -> Result<String, RegistryError> {
        #[derive(Deserialize)]
        struct Token {
            #[serde(alias = "access_token")]
            token: String,
        }
        let what = format!("log in to {}", self.reference.host);
        let error = |why| RegistryError::Answer { what: what.clone(), why };
        let mut url = Url::parse(realm).map_err(|_| error("the place of tokens is no URL"))?;
        if url.scheme() != "https" && !self.plain {
            return Err(error("tokens are given without TLS, and a login is not sent so"));
        }
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let own = format!("repository:{}:{actions}", self.reference.repository);
        url.query_pairs_mut().append_pair("scope", &scope.unwrap_or(own));
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.http.get(url);
        if let Some((user, password)) = &self.credentials {
            request = request.basic_auth(user, Some(password));
        }
        let answer = self.patiently(&what, &AtomicU64::new(0), request.send()).await?;
        let answer = denied(&what, answer.map_err(connection(&what))?, self.credentials.is_some())?;
        if !answer.status().is_success() {
            return Err(self.refused(&what, answer).await);
        }
        let body = self.small(&what, answer).await?;
        let token: Token = serde_json::from_slice(&body).map_err(|_| error("it gives no token"))?;
        Ok(token.token)
    }
}

fn denied(what: &str, answer: Response, has_login: bool) -> Result<Response, RegistryError> {
    match answer.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let wants = if has_login { "another login" } else { "a login" };
            Err(RegistryError::Denied { what: what.to_owned(), wants })
        }
        _ => Ok(answer),
    }
}

/// A connection that could not be made, or that broke. URLs may hold secrets, and are left out.
pub(crate) fn connection(what: &str) -> impl FnOnce(reqwest::Error) -> RegistryError {
    let what = what.to_owned();
    move |source| RegistryError::Connection { what, source: source.without_url() }
}

/// Tries something again for as long as it may pass and gets somewhere; `got` tells how far it is.
pub(crate) struct Patience<'a> {
    manners: &'a Manners,
    failures: u32,
    got: u64,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(manners: &'a Manners) -> Self {
        Self { manners, failures: 0, got: 0 }
    }

    /// Waits before another attempt, or gives the error back if there is to be none.
    pub(crate) async fn after(
        &mut self,
        error: RegistryError,
        got: u64,
    ) -> Result<(), RegistryError> {
        if got > self.got {
            (self.got, self.failures) = (got, 0);
        }
        self.failures += 1;
        if !error.may_pass() || self.failures >= self.manners.attempts {
            return Err(error);
        }
        tokio::time::sleep(self.manners.pause * 2u32.saturating_pow(self.failures - 1)).await;
        Ok(())
    }
}
